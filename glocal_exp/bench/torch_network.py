"""LeNet and one step of SGD in eager PyTorch: same weights, same images, same arithmetic.

It gets what makes it faster and leaves the work as it is: images that are normalised already, and
the activation after the pooling.
"""

from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]

from glocal_exp.bench.rules import START, TENSORS
from glocal_exp.bench.work import Work, by_parameter

Tensor = Any  # PyTorch may be absent where types are checked
Tensors = dict[str, Tensor]


class TorchWork:
    """What a `Work` is in PyTorch.

    Attributes:
        weights: at the start, by name.
        phi: unconstrained hyperparameters, in the order of ours.
        batches: images and labels of each step.
    """

    def __init__(self, work: Work):
        state, phi = work.start
        weights = by_parameter("value", state.params)
        self.weights: Tensors = {
            n.removesuffix(" value"): torch.tensor(w) for n, w in weights.items()
        }
        self.dtype = self.weights["conv1.weight"].dtype
        self.names = sorted(phi)
        self.phi = torch.tensor([float(phi[name]) for name in self.names], dtype=self.dtype)
        self.gradients = work.gradients
        self._slope = work.experiment.cfg.model.negative_slope
        classifier = work.experiment.problem.classifier

        def prepared(x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
            mean, std = (
                torch.tensor(v, dtype=self.dtype) for v in (classifier.mean, classifier.std)
            )
            images = (torch.tensor(x).to(self.dtype) / 255 - mean) / std
            return images.movedim(-1, -3).contiguous(), torch.tensor(y).long()

        self.batches = list(zip(*prepared(work.x, work.y), strict=True))
        self.validation = prepared(work.validation_x, work.validation_y)

    def leaves(self) -> Tensors:
        """Weights at the start that gradients can be taken for."""
        return {n: w.clone().requires_grad_() for n, w in self.weights.items()}

    def loss(self, params: Tensors, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross entropy."""
        for layer in ("conv1", "conv2"):
            x = F.conv2d(x, params[f"{layer}.weight"], params[f"{layer}.bias"])
            x = F.leaky_relu(F.max_pool2d(x, 2), self._slope)
        x = F.linear(x.flatten(1), params["linear1.weight"], params["linear1.bias"])
        x = F.leaky_relu(x, self._slope)
        x = F.linear(x, params["linear2.weight"], params["linear2.bias"])
        return F.cross_entropy(x, y)

    def natural(self, phi: Tensor) -> tuple[list[Any], Any, Any]:
        """A learning rate for each parameter tensor, momentum and weight decay."""
        values = dict(zip(self.names, torch.sigmoid(phi), strict=True))
        if len(values) == TENSORS:
            rates = [values[f"rate{index}"] for index in range(TENSORS)]
        else:
            rates = [values["learning_rate"]] * TENSORS
        values = START | values
        return rates, values["momentum"], values["weight_decay"]

    def apply(self, params: Tensors, gradient: Tensors, buffers: Tensors, phi: Tensor) -> tuple:
        """SGD's rule: parameters and buffers after it."""
        rates, momentum, decay = self.natural(phi)
        buffers = {n: momentum * buffers[n] + gradient[n] + decay * params[n] for n in params}
        moved = {n: params[n] - rate * buffers[n] for n, rate in zip(params, rates, strict=True)}
        return moved, buffers

    def zeros(self) -> Tensors:
        """Momentum buffers before the first step."""
        return {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
