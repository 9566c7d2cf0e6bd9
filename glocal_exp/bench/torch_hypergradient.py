"""The last h of a stretch of training in PyTorch: through the unroll, by libraries, by tangents.

The gradient of the validation loss is taken in chunks, and its scalar product with the last
weights then swept back, so that the graph of the training steps is traversed once.
"""

import warnings
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from glocal_exp.bench.torch_network import Tensor, Tensors
from glocal_exp.bench.torch_parts import TorchParts
from glocal_exp.bench.work import Work


class TorchHypergradients(TorchParts):
    """Each call trains from the start and returns h, (q,)."""

    def __init__(self, work: Work, chunk: int):
        super().__init__(work)
        self._chunk = chunk

    def reverse(self) -> np.ndarray:
        """Reverse mode through the unrolled steps, written by hand."""
        phi = self.phi.clone().requires_grad_()
        params, buffers = self.leaves(), self.zeros()
        for x, y in self.batches:
            loss = self.loss(params, x, y)
            gradient = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            gradient = dict(zip(params, gradient, strict=True))
            params, buffers = self.apply(params, gradient, buffers, phi)
        return self._pull(params, phi)

    def forward(self) -> np.ndarray:
        """Forward mode: all tangents of each step by `vmap` of `jvp`."""
        (params, _), (tangents, _), _ = self.push(together=True)
        gradient = self._gradient(params)
        h = sum(torch.tensordot(tangents[n], gradient[n], gradient[n].ndim) for n in self.weights)
        return h.numpy()

    def _pull(self, params: Tensors, phi: Tensor) -> np.ndarray:
        gradient = self._gradient(params)
        names = list(params)
        (h,) = torch.autograd.grad([params[n] for n in names], phi, [gradient[n] for n in names])
        return h.numpy()

    def _gradient(self, params: Tensors) -> Tensors:
        leaves = {n: p.detach().clone().requires_grad_() for n, p in params.items()}
        return self.gradient(leaves, self._chunk)


class Higher(TorchHypergradients):
    """`higher`: a differentiable `torch.optim.SGD` with overridden hyperparameters.

    Raises:
        ImportError: when it is not installed.
    """

    def __init__(self, work: Work, chunk: int):
        super().__init__(work, chunk)
        with _old_syntax():
            import higher  # pyright: ignore[reportMissingImports]

        self._optimizer: Callable = higher.get_diff_optim

    def reverse(self) -> np.ndarray:
        """Reverse mode through its steps."""
        phi = self.phi.clone().requires_grad_()
        params, (rates, momentum, decay) = self.leaves(), self.natural(phi)
        names, given = list(params), list(params.values())
        optimizer = self._optimizer(
            torch.optim.SGD([{"params": [p]} for p in given], 0.1, 0.1, weight_decay=0.1),
            given,
            track_higher_grads=True,
            override={
                "lr": rates,
                "momentum": [momentum] * len(given),
                "weight_decay": [decay] * len(given),
            },
        )
        for x, y in self.batches:
            given = optimizer.step(self.loss(dict(zip(names, given, strict=True)), x, y), given)
        return self._pull(dict(zip(names, given, strict=True)), phi)


class TorchOpt(TorchHypergradients):
    """TorchOpt's functional SGD, differentiated through; one learning rate for all parameters.

    It takes no tensor for its weight decay, so that is the gradient of a penalty here.

    Raises:
        ImportError: when it is not installed.
    """

    def __init__(self, work: Work, chunk: int):
        super().__init__(work, chunk)
        with _old_syntax():
            import torchopt  # pyright: ignore[reportMissingImports]

        self._library = torchopt

    def reverse(self) -> np.ndarray:
        """Reverse mode through its steps."""
        phi = self.phi.clone().requires_grad_()
        rates, momentum, decay = self.natural(phi)
        rule = self._library.sgd(rates[0], momentum, moment_requires_grad=True)
        optimizer = self._library.FuncOptimizer(rule)
        params = self.leaves()
        for x, y in self.batches:
            penalty = decay / 2 * sum((p**2).sum() for p in params.values())
            params = optimizer.step(self.loss(params, x, y) + penalty, params)
        return self._pull(params, phi)


@contextmanager
def _old_syntax():
    """Libraries that newer Pythons warn of when they first compile them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
