"""What a run works with, and a stretch of training as one compiled call."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from glocal_exp.engine.checkpoint import Snapshot, Snapshots
from glocal_exp.engine.compiled import Programs
from glocal_exp.engine.examples import Examples, Splits
from glocal_exp.engine.plan import Plan
from glocal_exp.hypergrad.forward import mean_gradient, names
from glocal_exp.methods.method import Wanted
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Scalar, Stepped

Carry = PyTree[Any]
"""What a mode carries from step to step beside the state: tangents, sums, a basis, or nothing."""
Mask = Bool[np.ndarray, " steps"]


class Marks(NamedTuple):
    """What is to be measured at each of some steps; None where a method wants none of the kind."""

    steps: Mask | None = None  # h_t
    training: Mask | None = None  # h_t of the training loss on the next step's batch
    weights: Float[np.ndarray, " steps"] | None = None  # the step's share in the window's mean
    ends: Mask | None = None  # h at that mean
    bends: Mask | None = None  # the sharpness between it and the interval's end
    newest: Mask | None = None  # the newest parts of the h_t
    sizes: Mask | None = None  # those of the training loss's
    implicit: Mask | None = None  # the implicit h
    distilled: Mask | None = None  # the distilled h
    copies: Mask | None = None  # losses of perturbed copies

    @classmethod
    def of(cls, wanted: Wanted, interval: int) -> "Marks":
        """Those of an outer step's last interval."""
        place = np.arange(interval)
        first, end = interval - wanted.mean, place == interval - 1
        steps = np.isin(place, wanted.steps) if wanted.steps else None
        training = np.isin(place, wanted.training) if wanted.training else None
        return cls(
            steps,
            training,
            (place >= first) / np.float64(wanted.mean) if wanted.mean else None,
            end if wanted.mean else None,
            end if wanted.sharpness else None,
            steps if wanted.newest else None,
            training if wanted.sizes else None,
            end if wanted.implicit else None,
            end if wanted.distilled else None,
            end if wanted.copies else None,
        )

    def part(self, start: int, stop: int, *, last: bool) -> "Marks":
        """Those of some of the steps; all off unless this is an outer step's last interval."""
        return Marks(*(None if m is None else m[start:stop] * last for m in self))

    def rows(self) -> dict[str, Mask]:
        """By name of what is measured, the steps that have a row of it."""
        named = {"h": self.steps, "training": self.training}
        named |= {"mean": self.ends, "mean_direct": self.ends, "losses": self.copies}
        named |= {"values": self.steps, "mean_value": self.ends, "sharpness": self.bends}
        named |= {"newest": self.newest, "sizes": self.sizes, "implicit": self.implicit}
        named |= {"distilled": self.distilled}
        return {name: mask.astype(bool) for name, mask in named.items() if mask is not None}

    def gradients(self) -> int:
        """Gradients of the whole validation loss."""
        masks = self.steps, self.ends, self.implicit, self.distilled
        return int(sum(mask.sum() for mask in masks if mask is not None))


class Segment(NamedTuple):
    """What a stretch of steps leaves, of one seed."""

    state: InnerState
    carry: Carry
    # what was measured, by the names of `Marks.rows`, a row a step; rows that are not marked do not
    # count
    rows: dict[str, Float[Array, "steps columns"]]
    losses: Float[Array, " steps"]  # training loss of each step
    finite: Bool[Array, ""]  # whether the parameters still are


@dataclass(frozen=True)
class Work:
    """A problem, what is to be done with it, its examples, and the programs compiled for it."""

    problem: InnerProblem
    plan: Plan
    examples: Examples
    programs: Programs

    @property
    def chunks(self) -> dict[str, Any]:
        """In which pieces validation examples are worked on."""
        numerics = self.plan.numerics
        return {"chunk": numerics.validation_chunk, "chunks_at_once": numerics.chunks_at_once}

    def batch(
        self, data: Splits, key: PRNGKeyArray, step: Int[Array, ""], chosen: Int[Array, " batch"]
    ) -> tuple[Batch, PRNGKeyArray]:
        """The batch and the key of a step."""
        batch = jax.tree.map(lambda leaf: leaf[chosen], data.train)
        return batch, jax.random.fold_in(key, step)

    def stepper(
        self, data: Splits, key: PRNGKeyArray
    ) -> Callable[[InnerState, Hyperparams, Int[Array, " batch"]], Stepped]:
        """A training step of (state, phi, indices)."""

        def step(state: InnerState, phi: Hyperparams, chosen: Array) -> Stepped:
            return self.problem.step(state, phi, *self.batch(data, key, state.step, chosen))

        return step

    def meta_gradient(
        self, state: InnerState, phi: Hyperparams, data: Splits
    ) -> tuple[Scalar, PyTree, Float[Array, " q"]]:
        """The meta loss, its gradient by the state's inexact leaves, and directly by phi."""
        inexact, rest = eqx.partition(state, eqx.is_inexact_array)

        def loss(inexact: PyTree, phi: Hyperparams, batch: Batch) -> Scalar:
            return self.problem.meta_loss(eqx.combine(inexact, rest), phi, batch)

        chunk, at_once = self.chunks.values()
        batch = data.for_hypergradients
        value, found = mean_gradient(loss, inexact, phi, batch, chunk, at_once=at_once)
        return value, found[0], ravel_pytree(found[1])[0]

    def phi_in(self, snapshot: Snapshot, interval: int) -> Hyperparams:
        """The hyperparameters of a playout's n-th interval."""
        moves = self.plan.method.shift(interval)
        if not moves:
            return snapshot.phi
        flat, unravel = ravel_pytree(snapshot.phi)
        by_name = [moves.get(name, 0.0) for name in names(snapshot.phi)]
        return unravel(flat + np.array(by_name, flat.dtype))

    def finite(self, state: InnerState) -> Bool[Array, ""]:
        """Whether the parameters are."""
        leaves = jax.tree.leaves(eqx.filter(state.params, eqx.is_inexact_array))
        return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]))

    def stretch(
        self,
        name: str,
        function: Callable[..., Any],
        snapshots: Snapshots,
        start: int,
        length: int,
        marks: Marks | None = None,
        static: Hashable = None,
    ) -> dict[int, Any]:
        """Call `function(state, phi, carry, key, indices, data, marks)` for a stretch of steps.

        Args:
            start: training steps done before.
            marks: what to measure; left out of the call if None.
            static: whatever else the function depends on.

        Returns:
            By seed, what it gives.
        """
        count = length + (marks is not None and marks.training is not None)
        indices = self.examples.indices
        by_seed = {
            seed: (s.state, s.phi, s.carry, jax.random.key(seed), indices(seed, start, count))
            for seed, s in snapshots.items()
        }
        data, shared = (self.examples.data(list(snapshots)),), () if marks is None else (marks,)
        return self.programs.call(
            name, function, by_seed, stacked=data, shared=shared, static=static
        )

    def train(self, snapshots: Snapshots, start: int, length: int) -> Mapping[int, Segment]:
        """Plain training; what is carried stays as it is."""
        trained = self.stretch("plain", self._train, snapshots, start, length)
        return {seed: new._replace(carry=snapshots[seed].carry) for seed, new in trained.items()}

    def _train(self, state, phi, carry, key, indices, data) -> Segment:
        step = self.stepper(data, key)
        state, losses = jax.lax.scan(lambda state, chosen: step(state, phi, chosen), state, indices)
        return Segment(state, None, {}, losses, self.finite(state))
