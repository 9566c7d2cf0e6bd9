"""Floating point operations that a network's passes need, derived from its layers.

Counted are the matrix products of the layers, two operations (a multiplication and an addition) to
a pair of factors; biases, activations, pooling, norms, the loss and the optimizer's rule are not,
nor what an implementation computes beyond the network's own products. With F for the forward pass
and F_1 for its first layer, whose input is data and needs neither gradient nor tangent:

    forward             F
    gradient            3 F - F_1        (products for the weights' and for the inputs' gradients)
    tangent of it       6 F - 4 F_1      (each product of two varying factors has two terms)

so a step with q tangents is gradient + q tangents, and so is one pulled back with q = 1, since the
transpose of a linear map takes as many products as the map.
"""

from collections.abc import Iterator
from typing import Any

# Weights come first in a product, second in a convolution; outputs are their first axis.
WEIGHT = {"product": 0, "conv_general_dilated": 1, "dot_general": 0}


def gradient(forward: Any, tangents: int = 0) -> int:
    """The loss and its gradient, with so many tangents of it, of a forward pass (a jaxpr)."""
    first, *others = map(layer, products(forward.jaxpr))
    whole = first + sum(others)
    return 3 * whole - first + tangents * (6 * whole - 4 * first)


def layer(equation: Any) -> int:
    """Operations of a product of a forward pass."""
    weight = equation.invars[WEIGHT[equation.primitive.name]].aval
    return 2 * equation.outvars[0].aval.size * weight.size // weight.shape[0]


def products(jaxpr: Any) -> Iterator[Any]:
    """Each product's equation in their order, as often as it is computed."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in WEIGHT:
            yield equation
            continue
        for inner in equation.params.values():
            if hasattr(inner, "jaxpr"):
                yield from list(products(inner.jaxpr)) * equation.params.get("length", 1)
