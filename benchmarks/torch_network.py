"""The networks and SGD's rule in eager PyTorch: same weights, same images, same arithmetic.

They get what makes them faster and leaves the work as it is: images that are normalised already,
and LeNet's activation after the pooling.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import machine
from benchmarks.work import START, Work
from glocal_exp.models.lenet import LeNet
from glocal_exp.models.wide_resnet import EPSILON, Block, GroupNorm, WideResNet
from glocal_exp.types import Batch

Tensor = torch.Tensor
Tensors = list[Tensor]  # one for each leaf of the network's tree, in its order

torch.set_num_threads(machine.cores())


class TorchWork:
    """What a `Work` is in PyTorch: weights at the start, hyperparameters (q,), images, labels."""

    def __init__(self, work: Work):
        (state, phi), self.work = work.start, work
        leaves, self._structure = jax.tree.flatten(state.params)
        self.weights = [torch.tensor(np.asarray(leaf)) for leaf in leaves]
        self.zeros = [torch.zeros_like(weight) for weight in self.weights]  # the momentum
        self._names, self._dtype = sorted(phi), self.weights[0].dtype
        self.phi = torch.tensor([float(phi[name]) for name in self._names], dtype=self._dtype)
        self._logits = lenet if isinstance(state.params, LeNet) else wide_resnet
        self.batches = list(zip(*self._prepared(work.train), strict=True))
        self.validation = self._prepared(work.validation)

    def leaves(self) -> Tensors:
        """Weights at the start that gradients can be taken for."""
        return [weight.clone().requires_grad_() for weight in self.weights]

    def loss(self, params: Tensors, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross entropy."""
        return F.cross_entropy(self._logits(jax.tree.unflatten(self._structure, params), x), y)

    def natural(self, phi: Tensor) -> tuple[list[Any], Any, Any]:
        """A learning rate for each parameter tensor, momentum and weight decay."""
        values = START | dict(zip(self._names, torch.sigmoid(phi), strict=True))
        places = range(len(self.weights))
        rates = [values.get(f"rate{place}", values["learning_rate"]) for place in places]
        return rates, values["momentum"], values["weight_decay"]

    def apply(self, params: Tensors, gradient: Sequence, buffers: Tensors, phi: Tensor) -> tuple:
        """SGD's rule: parameters and momentum after it."""
        rates, momentum, decay = self.natural(phi)
        given = zip(params, gradient, buffers, strict=True)
        buffers = [momentum * b + g + decay * p for p, g, b in given]
        return [p - r * b for p, r, b in zip(params, rates, buffers, strict=True)], buffers

    def _prepared(self, images: Batch) -> tuple[Tensor, Tensor]:
        task = self.work.problem.classifier
        mean, std = (torch.tensor(v, dtype=self._dtype) for v in (task.mean, task.std))
        x = (torch.tensor(images["x"]).to(self._dtype) / 255 - mean) / std
        return x.movedim(-1, -3).contiguous(), torch.tensor(images["y"]).long()


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
