"""The same work in eager PyTorch: same weights, same images, same arithmetic.

It gets what makes it faster and leaves the work as it is: images that are normalised already, and
the activation after the pooling.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from torch.func import grad_and_value, jvp, vmap  # pyright: ignore[reportMissingImports]
from torch.utils._pytree import tree_map  # pyright: ignore[reportMissingImports]

from glocal_exp.bench.work import RATE, Outcome, Work, by_parameter

Tensor = Any  # PyTorch may be absent where types are checked
Tensors = dict[str, Tensor]


class Torch:
    """Each call does the whole loop from the start, and returns what it computed."""

    def __init__(self, work: Work):
        state, phi = work.start
        weights = by_parameter("value", state.params)
        self._weights = {n.removesuffix(" value"): torch.tensor(w) for n, w in weights.items()}
        self._dtype = self._weights["conv1.weight"].dtype
        order = ("learning_rate", "momentum", "weight_decay")
        self._phi = torch.tensor([float(phi[name]) for name in order], dtype=self._dtype)
        self._slope = work.experiment.cfg.model.negative_slope
        self._gradients = work.gradients
        classifier = work.experiment.problem.classifier

        def prepared(x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
            mean, std = (
                torch.tensor(v, dtype=self._dtype) for v in (classifier.mean, classifier.std)
            )
            images = (torch.tensor(x).to(self._dtype) / 255 - mean) / std
            return images.movedim(-1, -3).contiguous(), torch.tensor(y).long()

        self._train = list(zip(*prepared(work.x, work.y), strict=True))
        self._validation = prepared(work.validation_x, work.validation_y)

    def plain(self) -> Outcome:
        """Steps of `torch.optim.SGD`."""
        params = self._leaves()
        rate, momentum, decay = torch.sigmoid(self._phi).tolist()
        optimizer = torch.optim.SGD(params.values(), rate, momentum, weight_decay=decay)
        losses = []
        for x, y in self._train:
            optimizer.zero_grad()
            loss = self._loss(params, x, y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        buffers = {n: optimizer.state[p]["momentum_buffer"] for n, p in params.items()}
        return _outcome(losses=torch.stack(losses), value=params, momentum=buffers)

    def tangent(self, *, together: bool) -> Outcome:
        """Steps with the forward derivative of the step: by `vmap`, or one `jvp` a tangent."""
        push = self._push_together if together else self._push_one_by_one
        q = len(self._phi)
        params = dict(self._weights)
        buffers = {name: torch.zeros_like(weight) for name, weight in params.items()}
        tangents = tuple(
            {n: torch.zeros((q, *w.shape), dtype=self._dtype) for n, w in params.items()}
            for _ in range(2)
        )
        directions = torch.eye(q, dtype=self._dtype)
        losses = []
        for x, y in self._train:
            (params, buffers, loss), (*tangents, _) = push(
                lambda *primals: self._step(*primals, x, y),  # noqa: B023
                (params, buffers, self._phi),
                (*tangents, directions),
            )
            losses.append(loss)
        results = {"value": params, "momentum": buffers}
        pushed = dict(zip(("value tangents", "momentum tangents"), tangents, strict=True))
        return _outcome(losses=torch.stack(losses), **results, **pushed)

    def validation_gradient(self, chunk: int) -> Outcome:
        """Gradients of the mean loss over all validation images, `chunk` of them at a time."""
        params = self._leaves()
        x, y = self._validation
        gradients = []
        for _ in range(self._gradients):
            for parameter in params.values():
                parameter.grad = None
            for images, labels in zip(x.split(chunk), y.split(chunk), strict=True):
                (self._loss(params, images, labels) * (len(labels) / len(y))).backward()
            gradients.append({name: parameter.grad for name, parameter in params.items()})
            with torch.no_grad():
                for parameter in params.values():
                    parameter -= RATE * parameter.grad
        return _outcome(gradients={n: torch.stack([g[n] for g in gradients]) for n in params})

    def _leaves(self) -> Tensors:
        return {n: w.clone().requires_grad_() for n, w in self._weights.items()}

    def _loss(self, params: Tensors, x: Tensor, y: Tensor) -> Tensor:
        for layer in ("conv1", "conv2"):
            x = F.conv2d(x, params[f"{layer}.weight"], params[f"{layer}.bias"])
            x = F.leaky_relu(F.max_pool2d(x, 2), self._slope)
        x = F.linear(x.flatten(1), params["linear1.weight"], params["linear1.bias"])
        x = F.leaky_relu(x, self._slope)
        x = F.linear(x, params["linear2.weight"], params["linear2.bias"])
        return F.cross_entropy(x, y)

    def _step(self, params: Tensors, buffers: Tensors, phi: Tensor, x: Tensor, y: Tensor) -> tuple:
        gradient, loss = grad_and_value(self._loss)(params, x, y)
        rate, momentum, decay = torch.sigmoid(phi)
        buffers = {n: momentum * buffers[n] + gradient[n] + decay * params[n] for n in params}
        return {n: params[n] - rate * buffers[n] for n in params}, buffers, loss

    def _push_together(self, step: Callable, primals: tuple, tangents: tuple) -> tuple:
        def push(*tangents: Any) -> tuple:
            return jvp(step, primals, tangents)

        return vmap(push, out_dims=(None, 0))(*tangents)

    def _push_one_by_one(self, step: Callable, primals: tuple, tangents: tuple) -> tuple:
        results = [
            jvp(step, primals, tree_map(lambda leaf: leaf[index], tangents))  # noqa: B023
            for index in range(len(self._phi))
        ]
        stacked = tree_map(lambda *leaves: torch.stack(leaves), *(pushed for _, pushed in results))
        return results[0][0], stacked


def _outcome(losses: Tensor | None = None, **trees: Tensors) -> Outcome:
    found = {} if losses is None else {"losses": losses.numpy()}
    for kind, tree in trees.items():
        found |= {f"{name} {kind}": leaf.detach().numpy() for name, leaf in tree.items()}
    return found
