"""The parts of one interval, and hypergradients, in eager PyTorch and its libraries.

Weights, images and arithmetic are those of ours. PyTorch gets what makes it faster and leaves the
work as it is: images that are normalised already, and LeNet's activation after the pooling.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import torch
import torch.nn.functional as F
from torch.func import grad_and_value, jvp, vmap

from benchmarks.measure import Outcome
from benchmarks.work import START, Work
from glocal_exp.models.lenet import LeNet
from glocal_exp.models.wide_resnet import EPSILON, Block, GroupNorm, WideResNet
from glocal_exp.store.manifest import usable_cores
from glocal_exp.types import Batch

Tensor = torch.Tensor
Tensors = list[Tensor]  # one for each leaf of the network's tree, in its order

torch.set_num_threads(len(usable_cores()))


class TorchWork:
    """What a `Work` is in PyTorch, and ways to do it: the loop from the start, and what it gave.

    A work is weights at the start, hyperparameters (q,), images and labels. A `chunk` is of
    validation images.
    """

    def __init__(self, work: Work):
        state, _, phi, *_ = work.given
        leaves, self._structure = jax.tree.flatten(state.params)
        self.weights = [torch.tensor(np.asarray(leaf)) for leaf in leaves]
        self.zeros = [torch.zeros_like(weight) for weight in self.weights]  # the momentum
        self._names, dtype = sorted(phi), self.weights[0].dtype
        self.phi = torch.tensor([float(phi[name]) for name in self._names], dtype=dtype)
        self._logits = lenet if isinstance(state.params, LeNet) else wide_resnet
        task = work.problem.classifier
        mean, std = (torch.tensor(value, dtype=dtype) for value in (task.mean, task.std))

        def prepared(images: Batch) -> tuple[Tensor, Tensor]:
            x = (torch.tensor(images["x"]).to(dtype) / 255 - mean) / std
            return x.movedim(-1, -3).contiguous(), torch.tensor(images["y"]).long()

        self.batches = list(zip(*prepared(work.train), strict=True))
        self.validation = prepared(work.validation)

    def plain(self) -> Outcome:
        """Steps of `torch.optim.SGD`, with one learning rate."""
        (params, _), ((rate, *_), momentum, decay) = self._leaves(), self._natural(self.phi)
        optimizer = torch.optim.SGD(params, float(rate), float(momentum), weight_decay=float(decay))
        losses = []
        for x, y in self.batches:
            optimizer.zero_grad()
            loss = self._loss(params, x, y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        weights = [p.detach() for p in params]
        buffers = [optimizer.state[p]["momentum_buffer"] for p in params]
        return {"losses": torch.stack(losses), "weights": weights, "momentum": buffers}

    def tangent(self) -> Outcome:
        """Steps with the forward derivative of the step: `vmap` of `jvp` over the tangents."""
        q, at, losses = len(self.phi), (self.weights, self.zeros, self.phi), []
        zeros = [w.new_zeros((q, *w.shape)) for w in self.weights]
        tangents = (zeros, zeros, torch.eye(q, dtype=self.phi.dtype))

        def step(x: Tensor, y: Tensor, params: Tensors, buffers: Tensors, phi: Tensor) -> tuple:
            gradient, loss = grad_and_value(self._loss)(params, x, y)
            return (*self._apply(params, gradient, buffers, phi), phi), loss

        for images in self.batches:
            push = partial(jvp, partial(step, *images), at, has_aux=True)
            at, tangents, loss = vmap(push, out_dims=(None, 0, None))(tangents)
            losses.append(loss)
        found = {"losses": torch.stack(losses), "weights": at[0], "momentum": at[1]}
        return found | {"weights tangents": tangents[0], "momentum tangents": tangents[1]}

    def validation_gradient(self, chunk: int) -> Outcome:
        """Of the validation loss at the start."""
        return {"gradient": self._gradient(self.weights, chunk)}

    def forward(self, chunk: int) -> Outcome:
        """The last h by forward mode: all tangents of each step by `vmap` of `jvp`."""
        found = self.tangent()
        gradient = self._gradient(found["weights"], chunk)
        pairs = zip(found["weights tangents"], gradient, strict=True)
        return {"h": sum(torch.tensordot(pushed, g, g.ndim) for pushed, g in pairs)}

    def reverse(self, chunk: int) -> Outcome:
        """The last h by reverse mode through steps written by hand."""
        (params, phi), buffers = self._leaves(), self.zeros
        for x, y in self.batches:
            gradient = torch.autograd.grad(self._loss(params, x, y), params, create_graph=True)
            params, buffers = self._apply(params, gradient, buffers, phi)
        return self._swept_back(params, phi, chunk)

    def higher(self, chunk: int) -> Outcome:
        """By steps of `higher`: a differentiable `torch.optim.SGD`, hyperparameters overridden."""
        import higher

        params, phi = self._leaves()
        rates, *others = self._natural(phi)
        momentum, decay = ([value] * len(rates) for value in others)
        each = {"lr": rates, "momentum": momentum, "weight_decay": decay}
        rule = torch.optim.SGD([{"params": [p]} for p in params], 0.1, 0.1, weight_decay=0.1)
        optimizer = higher.get_diff_optim(rule, params, track_higher_grads=True, override=each)
        for x, y in self.batches:
            params = list(optimizer.step(self._loss(params, x, y), params))
        return self._swept_back(params, phi, chunk)

    def torchopt(self, chunk: int) -> Outcome:
        """By steps of TorchOpt's functional SGD, with one learning rate for all parameters.

        It takes no tensor for its weight decay, so that is the gradient of a penalty here.
        """
        import torchopt

        params, phi = self._leaves()
        (rate, *_), momentum, decay = self._natural(phi)
        optimizer = torchopt.FuncOptimizer(torchopt.sgd(rate, momentum, moment_requires_grad=True))
        params = tuple(params)
        for x, y in self.batches:
            penalty = decay / 2 * sum((p**2).sum() for p in params)
            params = optimizer.step(self._loss(params, x, y) + penalty, params)
        return self._swept_back(list(params), phi, chunk)

    def _leaves(self) -> tuple[Tensors, Tensor]:
        """Weights at the start and hyperparameters that gradients can be taken for."""
        params = [weight.clone().requires_grad_() for weight in self.weights]
        return params, self.phi.clone().requires_grad_()

    def _loss(self, params: Tensors, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross entropy."""
        return F.cross_entropy(self._logits(jax.tree.unflatten(self._structure, params), x), y)

    def _natural(self, phi: Tensor) -> tuple[list[Any], Any, Any]:
        """A learning rate for each parameter tensor, momentum and weight decay."""
        values = START | dict(zip(self._names, torch.sigmoid(phi), strict=True))
        places = range(len(self.weights))
        rates = [values.get(f"rate{place}", values["learning_rate"]) for place in places]
        return rates, values["momentum"], values["weight_decay"]

    def _apply(self, params: Tensors, gradient: Sequence, buffers: Tensors, phi: Tensor) -> tuple:
        """SGD's rule: parameters and momentum after it."""
        rates, momentum, decay = self._natural(phi)
        given = zip(params, gradient, buffers, strict=True)
        buffers = [momentum * b + g + decay * p for p, g, b in given]
        return [p - r * b for p, r, b in zip(params, rates, buffers, strict=True)], buffers

    def _swept_back(self, params: Tensors, phi: Tensor, chunk: int) -> Outcome:
        """The last h, of the last weights: the training steps' graph is traversed once."""
        return {"h": torch.autograd.grad(params, phi, self._gradient(params, chunk))[0]}

    def _gradient(self, params: Tensors, chunk: int) -> Tensors:
        """Of the mean loss over all validation images."""
        (x, y), leaves = self.validation, [p.detach().clone().requires_grad_() for p in params]
        for images, labels in zip(x.split(chunk), y.split(chunk), strict=True):
            (self._loss(leaves, images, labels) * (len(labels) / len(y))).backward()
        return [leaf.grad for leaf in leaves]


def lenet(network: LeNet, x: Tensor) -> Tensor:
    """Logits."""
    for layer in (network.conv1, network.conv2):
        x = F.leaky_relu(F.max_pool2d(F.conv2d(x, *layer), 2), network.negative_slope)
    x = F.leaky_relu(F.linear(x.flatten(1), *network.linear1), network.negative_slope)
    return F.linear(x, *network.linear2)


def wide_resnet(network: WideResNet, x: Tensor) -> Tensor:
    """Logits."""

    def activate(norm: GroupNorm, x: Tensor) -> Tensor:
        y = F.group_norm(x, norm.groups, norm.scale, norm.shift, EPSILON)
        return F.leaky_relu(y, network.negative_slope)

    def through(block: Block, x: Tensor) -> Tensor:
        y, stride = activate(block.norms[0], x), block.stride
        y = F.conv2d(y, block.convs[0], stride=stride, padding=1)
        y = F.conv2d(activate(block.norms[1], y), block.convs[1], padding=1)
        return y + (x if block.shortcut is None else F.conv2d(x, block.shortcut, stride=stride))

    x = F.conv2d(x, network.stem, padding=1)
    for block in network.blocks:
        x = through(block, x)
    x = activate(network.norm, x)
    x = x.amax((2, 3)) if network.pool == "max" else x.mean((2, 3))
    return F.linear(x, *network.linear)
