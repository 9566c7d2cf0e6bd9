"""WideResNet and SGD in eager PyTorch: the same weights, images and arithmetic."""

from typing import Any

import jax
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]

from glocal_exp.bench.rules import START
from glocal_exp.bench.work import Work
from glocal_exp.models.wide_resnet import EPSILON, Block, GroupNorm, WideResNet

Tensor = Any  # PyTorch may be absent where types are checked


class TorchWideResNet:
    """What a `Work` with a WideResNet is in PyTorch; only the learning rate and momentum vary."""

    def __init__(self, work: Work):
        state, phi = work.start
        self._network = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf)), state.params)
        learned = work.experiment.problem.describe(phi).items()
        self._rule = START | {name: float(value) for name, value in learned}
        self._slope = work.experiment.cfg.model.negative_slope
        classifier = work.experiment.problem.classifier
        dtype = self._network.stem.dtype
        mean, std = (torch.tensor(v, dtype=dtype) for v in (classifier.mean, classifier.std))
        images = (torch.tensor(work.x).to(dtype) / 255 - mean) / std
        self._batches = list(zip(images.movedim(-1, -3), torch.tensor(work.y).long(), strict=True))

    def plain(self) -> tuple[Any, Tensor]:
        """Steps of `torch.optim.SGD`: the network after them, and the losses."""
        network = jax.tree.map(lambda leaf: leaf.clone().requires_grad_(), self._network)
        optimizer = torch.optim.SGD(
            jax.tree.leaves(network),
            self._rule["learning_rate"],
            self._rule["momentum"],
            weight_decay=self._rule["weight_decay"],
        )
        losses = []
        for x, y in self._batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(self._logits(network, x.contiguous()), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return network, torch.stack(losses)

    def _logits(self, network: WideResNet, x: Tensor) -> Tensor:
        x = F.conv2d(x, network.stem, padding=1)
        for block in network.blocks:
            x = self._through(block, x)
        x = self._activate(network.norm, x)
        x = x.amax((2, 3)) if network.pool == "max" else x.mean((2, 3))
        return F.linear(x, *network.linear)

    def _through(self, block: Block, x: Tensor) -> Tensor:
        y = F.conv2d(
            self._activate(block.norms[0], x), block.convs[0], stride=block.stride, padding=1
        )
        y = F.conv2d(self._activate(block.norms[1], y), block.convs[1], padding=1)
        if block.shortcut is not None:
            x = F.conv2d(x, block.shortcut, stride=block.stride)
        return y + x

    def _activate(self, norm: GroupNorm, x: Tensor) -> Tensor:
        y = F.group_norm(x, norm.groups, norm.scale, norm.shift, EPSILON)
        return F.leaky_relu(y, self._slope)
