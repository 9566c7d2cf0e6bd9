"""The parts of one interval in eager PyTorch."""

from collections.abc import Callable
from typing import Any

import torch  # pyright: ignore[reportMissingImports]
from torch.func import grad_and_value, jvp, vmap  # pyright: ignore[reportMissingImports]
from torch.utils._pytree import tree_map  # pyright: ignore[reportMissingImports]

from glocal_exp.bench.comparison import Outcome
from glocal_exp.bench.ours import RATE
from glocal_exp.bench.torch_network import Tensor, Tensors, TorchWork


class TorchParts(TorchWork):
    """Each call does the whole loop from the start, and returns what it computed."""

    def plain(self) -> Outcome:
        """Steps of `torch.optim.SGD`."""
        params = self.leaves()
        rates, momentum, decay = self.natural(self.phi)
        groups = [
            {"params": [p], "lr": float(r)} for p, r in zip(params.values(), rates, strict=True)
        ]
        one_rate = len({group["lr"] for group in groups}) == 1
        optimizer = torch.optim.SGD(
            params.values() if one_rate else groups,
            groups[0]["lr"],
            float(momentum),
            weight_decay=float(decay),
        )
        losses = []
        for x, y in self.batches:
            optimizer.zero_grad()
            loss = self.loss(params, x, y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        buffers = {n: optimizer.state[p]["momentum_buffer"] for n, p in params.items()}
        return _outcome(losses=torch.stack(losses), value=params, momentum=buffers)

    def tangent(self, *, together: bool) -> Outcome:
        """Steps with the forward derivative of the step: by `vmap`, or one `jvp` a tangent."""
        (params, buffers), tangents, losses = self.push(together=together)
        results = {"value": params, "momentum": buffers}
        pushed = dict(zip(("value tangents", "momentum tangents"), tangents, strict=True))
        return _outcome(losses=losses, **results, **pushed)

    def push(self, *, together: bool) -> tuple[tuple[Tensors, Tensors], tuple, Tensor]:
        """State, its tangents and the losses after all steps."""
        push = _push_together if together else _push_one_by_one
        q, params, buffers = len(self.phi), dict(self.weights), self.zeros()
        tangents = tuple(
            {n: torch.zeros((q, *w.shape), dtype=self.dtype) for n, w in params.items()}
            for _ in range(2)
        )
        directions = torch.eye(q, dtype=self.dtype)
        losses = []
        for x, y in self.batches:
            (params, buffers, loss), (*tangents, _) = push(
                lambda *primals: self._step(*primals, x, y),  # noqa: B023
                (params, buffers, self.phi),
                (*tangents, directions),
            )
            losses.append(loss)
        return (params, buffers), tuple(tangents), torch.stack(losses)

    def gradient(self, params: Tensors, chunk: int) -> Tensors:
        """Gradient of the mean loss over all validation images, `chunk` of them at a time."""
        x, y = self.validation
        for parameter in params.values():
            parameter.grad = None
        for images, labels in zip(x.split(chunk), y.split(chunk), strict=True):
            (self.loss(params, images, labels) * (len(labels) / len(y))).backward()
        return {name: parameter.grad for name, parameter in params.items()}

    def validation_gradient(self, chunk: int) -> Outcome:
        """Gradients at one point after the other."""
        params, gradients = self.leaves(), []
        for _ in range(self.gradients):
            gradients.append(self.gradient(params, chunk))
            with torch.no_grad():
                for name, parameter in params.items():
                    parameter -= RATE * gradients[-1][name]
        return _outcome(gradients={n: torch.stack([g[n] for g in gradients]) for n in params})

    def _step(self, params: Tensors, buffers: Tensors, phi: Tensor, x: Tensor, y: Tensor) -> tuple:
        gradient, loss = grad_and_value(self.loss)(params, x, y)
        return *self.apply(params, gradient, buffers, phi), loss


def _push_together(step: Callable, primals: tuple, tangents: tuple) -> tuple:
    def push(*tangents: Any) -> tuple:
        return jvp(step, primals, tangents)

    return vmap(push, out_dims=(None, 0))(*tangents)


def _push_one_by_one(step: Callable, primals: tuple, tangents: tuple) -> tuple:
    results = [
        jvp(step, primals, tree_map(lambda leaf: leaf[index], tangents))  # noqa: B023
        for index in range(len(primals[-1]))
    ]
    stacked = tree_map(lambda *leaves: torch.stack(leaves), *(pushed for _, pushed in results))
    return results[0][0], stacked


def _outcome(losses: Tensor | None = None, **trees: Tensors) -> Outcome:
    found = {} if losses is None else {"losses": losses.numpy()}
    for kind, tree in trees.items():
        found |= {f"{name} {kind}": leaf.detach().numpy() for name, leaf in tree.items()}
    return found
