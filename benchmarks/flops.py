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


def gradient(forward: Any, tangents: int = 0) -> int:
    """The loss and its gradient, with so many tangents of it, of a forward pass (a jaxpr)."""
    counted = list(layers(forward.jaxpr))
    whole, first = sum(counted), counted[0]
    return 3 * whole - first + tangents * (6 * whole - 4 * first)


def layers(jaxpr: Any) -> Iterator[int]:
    """Operations of each product of a forward pass, in their order."""
    for equation in jaxpr.eqns:
        # Weights come first in a product, second in a convolution; outputs are their first axis.
        place = {"product": 0, "conv_general_dilated": 1}.get(equation.primitive.name)
        if place is not None:
            weight = equation.invars[place].aval
            yield 2 * equation.outvars[0].aval.size * weight.size // weight.shape[0]
        for inner in equation.params.values() if place is None else ():
            if hasattr(inner, "jaxpr"):
                yield from layers(inner.jaxpr)
