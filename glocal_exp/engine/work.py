"""What a run works with, and a stretch of training as one compiled call."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from glocal_exp.engine.checkpoint import Snapshots
from glocal_exp.engine.compiled import Programs
from glocal_exp.engine.examples import Data, Examples
from glocal_exp.engine.modes.mode import Marks, Segment
from glocal_exp.engine.plan import Plan
from glocal_exp.types import Batch, InnerProblem, InnerState


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
        self, data: Data, key: PRNGKeyArray, step: Int[Array, ""], chosen: Int[Array, " batch"]
    ) -> tuple[Batch, PRNGKeyArray]:
        """The batch and the key of a step."""
        batch = jax.tree.map(lambda leaf: leaf[chosen], data.train)
        return batch, jax.random.fold_in(key, step)

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
    ) -> tuple[dict[int, Any], float]:
        """Call `function(state, phi, carry, key, indices, data, marks)` for a stretch of steps.

        Args:
            start: training steps done before.
            marks: what to measure; left out of the call if None.
            static: whatever else the function depends on.

        Returns:
            By seed, what it gives; and the seconds that it took.
        """
        following = marks is not None and marks.training is not None
        by_seed = {
            seed: (
                *(s.state, s.phi, s.carry, jax.random.key(seed)),
                self.examples.indices(seed, start, length + following),
            )
            for seed, s in snapshots.items()
        }
        data = self.examples.data(list(snapshots))
        shared = () if marks is None else (marks,)
        return self.programs.call(
            name, function, by_seed, stacked=(data,), shared=shared, static=static
        )

    def train(
        self, snapshots: Snapshots, start: int, length: int
    ) -> tuple[Mapping[int, Segment], float]:
        """Plain training; what is carried stays as it is."""
        results, seconds = self.stretch("plain", self._train, snapshots, start, length)
        carries = {
            seed: result._replace(carry=snapshots[seed].carry) for seed, result in results.items()
        }
        return carries, seconds

    def _train(self, state, phi, carry, key, indices, data) -> Segment:
        def body(state: InnerState, chosen: Array) -> tuple[InnerState, Array]:
            return self.problem.step(state, phi, *self.batch(data, key, state.step, chosen))

        state, losses = jax.lax.scan(body, state, indices)
        return Segment(state, None, {}, losses, self.finite(state))
