"""The parts of one interval, and hypergradients, in eager PyTorch and its libraries.

Each call does the whole loop from the start, and returns what it computed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.func import grad_and_value, jvp, vmap
from torch.utils._pytree import tree_map

from benchmarks.comparison import Outcome
from benchmarks.ours import RATE
from benchmarks.torch_network import Tensor, Tensors, TorchWork


def plain(peer: TorchWork) -> Outcome:
    """Steps of `torch.optim.SGD`, with one learning rate."""
    params, (rates, *others) = peer.leaves(), peer.natural(peer.phi)
    rate, momentum, decay = map(float, (rates[0], *others))
    optimizer = torch.optim.SGD(params, rate, momentum, weight_decay=decay)
    losses = []
    for x, y in peer.batches:
        optimizer.zero_grad()
        loss = peer.loss(params, x, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    weights = [p.detach() for p in params]
    buffers = [optimizer.state[p]["momentum_buffer"] for p in params]
    return {"losses": torch.stack(losses), "weights": weights, "momentum": buffers}


def tangent(peer: TorchWork, *, together: bool) -> Outcome:
    """Steps with the forward derivative of the step: by `vmap`, or one `jvp` a tangent."""
    push, q = _push_together if together else _push_one_by_one, len(peer.phi)
    state, directions = (peer.weights, peer.zeros), torch.eye(q, dtype=peer.phi.dtype)
    tangents = tuple([w.new_zeros((q, *w.shape)) for w in peer.weights] for _ in state)
    losses = []

    def step(x: Tensor, y: Tensor, params: Tensors, buffers: Tensors, phi: Tensor) -> tuple:
        gradient, loss = grad_and_value(peer.loss)(params, x, y)
        return *peer.apply(params, gradient, buffers, phi), loss

    for images in peer.batches:
        (*state, loss), (*tangents, _) = push(
            partial(step, *images), (*state, peer.phi), (*tangents, directions)
        )
        losses.append(loss)
    kinds = ("weights", "momentum", "weights tangents", "momentum tangents")
    return {"losses": torch.stack(losses), **dict(zip(kinds, (*state, *tangents), strict=True))}


def validation_gradient(peer: TorchWork, chunk: int) -> Outcome:
    """Gradients at one point after the other."""
    params, gradients = peer.weights, []
    for _ in range(peer.work.gradients):
        gradients.append(_gradient(peer, params, chunk))
        params = [p - RATE * g for p, g in zip(params, gradients[-1], strict=True)]
    return {"gradients": [torch.stack(leaves) for leaves in zip(*gradients, strict=True)]}


def forward(peer: TorchWork, chunk: int) -> Outcome:
    """The last h by forward mode: all tangents of each step by `vmap` of `jvp`."""
    found = tangent(peer, together=True)
    gradient = _gradient(peer, found["weights"], chunk)
    pairs = zip(found["weights tangents"], gradient, strict=True)
    return {"h": sum(torch.tensordot(pushed, g, g.ndim) for pushed, g in pairs)}


def swept_back(unroll: Callable[[TorchWork, Tensor], Tensors]) -> Callable[..., Outcome]:
    """The last h by reverse mode through an unrolled training, which returns the last weights.

    The gradient of the validation loss is taken in chunks, and its scalar product with the last
    weights then swept back, so that the graph of the training steps is traversed once.
    """

    def h(peer: TorchWork, chunk: int) -> Outcome:
        phi = peer.phi.clone().requires_grad_()
        params = unroll(peer, phi)
        return {"h": torch.autograd.grad(params, phi, _gradient(peer, params, chunk))[0]}

    return h


@swept_back
def reverse(peer: TorchWork, phi: Tensor) -> Tensors:
    """Steps written by hand."""
    params, buffers = peer.leaves(), peer.zeros
    for x, y in peer.batches:
        gradient = torch.autograd.grad(peer.loss(params, x, y), params, create_graph=True)
        params, buffers = peer.apply(params, gradient, buffers, phi)
    return params


@swept_back
def higher(peer: TorchWork, phi: Tensor) -> Tensors:
    """Steps of `higher`: a differentiable `torch.optim.SGD` with overridden hyperparameters."""
    import higher

    params, (rates, momentum, decay) = peer.leaves(), peer.natural(phi)
    each = {"lr": rates, "momentum": [momentum] * len(rates), "weight_decay": [decay] * len(rates)}
    rule = torch.optim.SGD([{"params": [p]} for p in params], 0.1, 0.1, weight_decay=0.1)
    optimizer = higher.get_diff_optim(rule, params, track_higher_grads=True, override=each)
    for x, y in peer.batches:
        params = list(optimizer.step(peer.loss(params, x, y), params))
    return params


@swept_back
def torchopt(peer: TorchWork, phi: Tensor) -> Tensors:
    """Steps of TorchOpt's functional SGD, with one learning rate for all parameters.

    It takes no tensor for its weight decay, so that is the gradient of a penalty here.
    """
    import torchopt

    params, (rates, momentum, decay) = peer.leaves(), peer.natural(phi)
    optimizer = torchopt.FuncOptimizer(torchopt.sgd(rates[0], momentum, moment_requires_grad=True))
    for x, y in peer.batches:
        penalty = decay / 2 * sum((p**2).sum() for p in params)
        params = optimizer.step(peer.loss(params, x, y) + penalty, tuple(params))
    return list(params)


def _gradient(peer: TorchWork, params: Tensors, chunk: int) -> Tensors:
    """Of the mean loss over all validation images, `chunk` of them at a time."""
    (x, y), leaves = peer.validation, [p.detach().clone().requires_grad_() for p in params]
    for images, labels in zip(x.split(chunk), y.split(chunk), strict=True):
        (peer.loss(leaves, images, labels) * (len(labels) / len(y))).backward()
    return [leaf.grad for leaf in leaves]


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
