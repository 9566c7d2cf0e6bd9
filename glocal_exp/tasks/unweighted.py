"""Plain training: what weights, learned or fixed, have to beat."""

from glocal_exp.tasks.weighted import Weighted


class Unweighted(Weighted):
    """The inner loss is the plain mean of the losses. Nothing is learned: phi is empty."""
