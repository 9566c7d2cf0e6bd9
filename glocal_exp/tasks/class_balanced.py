"""Fixed weights for classes of different size: what learned weights have to beat."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.weighted import Rule, Weighted
from glocal_exp.types import Batch, Hyperparams, InnerState, Numbers


class ClassBalanced(Weighted):
    """The inner loss is the mean of w_c L_i over the batch, c the class of example i.

    w_c is proportional to (1 - beta) / (1 - beta^n_c), the inverse effective number of the n_c
    training examples of the class, and the mean over the classes is 1 (Cui et al. 2019, Eq. 4).
    With beta = 0 all weigh the same. Nothing is learned: phi is empty.
    """

    weights: tuple[float, ...] = eqx.field(static=True)  # w_c

    def __init__(
        self, classifier: Classifier, rule: Rule, beta: float, class_counts: Sequence[int]
    ):
        """Weigh the classes.

        Args:
            beta: from 0, all alike, to below 1, close to the inverse of the classes' sizes.
            class_counts: training examples of each class.

        Raises:
            UserError: for a beta out of range, or a rule that is not whole.
        """
        if not 0 <= beta < 1:
            raise UserError(f"task.beta={beta} is not from 0 to below 1.")
        weights = (1 - beta) / (1 - beta ** np.maximum(np.asarray(class_counts, np.float64), 1))
        self.weights = tuple(float(weight) for weight in weights / weights.mean())
        self.classifier, self.rule = classifier, rule

    def weigh(self, state: InnerState, phi: Hyperparams, losses: Numbers, batch: Batch) -> Numbers:
        return losses * jnp.asarray(self.weights, losses.dtype)[batch["y"]]
