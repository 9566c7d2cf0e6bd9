"""The parts of one interval, and hypergradients, in eager PyTorch and its libraries.

Each call does the whole loop from the start, and returns what it computed.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch.func import grad_and_value, jvp, vmap
from torch.utils._pytree import tree_map

from benchmarks.comparison import Outcome
from benchmarks.torch_network import Tensor, Tensors, TorchWork


def plain(peer: TorchWork) -> Outcome:
    """Steps of `torch.optim.SGD`, with one learning rate."""
    params, ((rate, *_), momentum, decay) = peer.leaves(), peer.natural(peer.phi)
    optimizer = torch.optim.SGD(params, float(rate), float(momentum), weight_decay=float(decay))
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
    q, (params, buffers) = len(peer.phi), (peer.weights, peer.zeros)
    zeros = [w.new_zeros((q, *w.shape)) for w in params]
    tangents, losses = (zeros, zeros, torch.eye(q, dtype=peer.phi.dtype)), []

    def step(x: Tensor, y: Tensor, params: Tensors, buffers: Tensors, phi: Tensor) -> tuple:
        gradient, loss = grad_and_value(peer.loss)(params, x, y)
        return *peer.apply(params, gradient, buffers, phi), loss

    for images in peer.batches:
        push = partial(jvp, partial(step, *images), (params, buffers, peer.phi))
        if together:
            (params, buffers, loss), pushed = vmap(push, out_dims=(None, 0))(tangents)
        else:
            each = [push(tree_map(lambda leaf: leaf[i], tangents)) for i in range(q)]  # noqa: B023
            params, buffers, loss = each[0][0]
            pushed = tree_map(lambda *leaves: torch.stack(leaves), *(one[1] for one in each))
        tangents = (*pushed[:2], tangents[2])
        losses.append(loss)
    found = {"losses": torch.stack(losses), "weights": params, "momentum": buffers}
    return found | {"weights tangents": tangents[0], "momentum tangents": tangents[1]}


def validation_gradient(peer: TorchWork, chunk: int) -> Outcome:
    """Of the validation loss at the start."""
    return {"gradient": _gradient(peer, peer.weights, chunk)}


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

    params, (rates, momentum, decay) = tuple(peer.leaves()), peer.natural(phi)
    optimizer = torchopt.FuncOptimizer(torchopt.sgd(rates[0], momentum, moment_requires_grad=True))
    for x, y in peer.batches:
        penalty = decay / 2 * sum((p**2).sum() for p in params)
        params = optimizer.step(peer.loss(params, x, y) + penalty, params)
    return list(params)


def _gradient(peer: TorchWork, params: Tensors, chunk: int) -> Tensors:
    """Of the mean loss over all validation images, `chunk` of them at a time."""
    (x, y), leaves = peer.validation, [p.detach().clone().requires_grad_() for p in params]
    for images, labels in zip(x.split(chunk), y.split(chunk), strict=True):
        (peer.loss(leaves, images, labels) * (len(labels) / len(y))).backward()
    return [leaf.grad for leaf in leaves]
