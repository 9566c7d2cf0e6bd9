"""What following a hypergradient costs against the best schedule, on quadratics with noise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from glocal_exp.engine import Auto, Splits, run
from glocal_exp.engine.compiled import Programs
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Method
from glocal_exp.problems.noisy_quadratic import Moments, NoisyQuadratic, Spectrum, after, derivative
from glocal_exp.studies.lab import Lab, Measurement, Row, Unit
from glocal_exp.types import Batch, InnerState, Scalar

LEVELS = np.geomspace(0.002, 0.24, 25)
"""Choice: rates that two-piece schedules rise or fall to, times 1 - momentum."""
TURNS = 40
"""Choice: places, about so many, where they begin to fall for good."""
LOWEST = -9.0
"""Logit of the rate that they fall towards."""
STARTED = 1000
"""Lanes of a spectrum: seeds are told apart below this."""


@dataclass(frozen=True)
class Exact:
    """The exact derivative of the expected final loss, from each interval's first state."""

    fall: float  # later rates fall by so many meta steps an interval
    rest: bool  # whether a change of the rate is one of all later rates too


@dataclass(frozen=True)
class Course:
    """What runs of a unit share."""

    momentum: float
    outer_steps: int
    start: float
    meta_optimizer: optax.GradientTransformation
    method: Any  # of the engine, or `Exact`
    programs: Programs  # compiled for runs of the same momentum whose method wants the same


@dataclass(frozen=True)
class ScheduleRegret:
    """Final loss over that of the best two-piece schedule, one row a spectrum, start and seed.

    A two-piece schedule goes towards a level, then down, its unconstrained rate moving by a meta
    step an interval at most. `configs/study/schedule_regret.yaml` explains the settings.
    """

    spectra: Mapping[str, Mapping[str, Any]]
    momenta: Sequence[float]
    starts: Sequence[float]
    outer_steps: Sequence[int]
    interval: int
    seeds: int
    meta_rate: float
    meta_optimizers: Mapping[str, optax.GradientTransformation]
    methods: Mapping[str, Method]
    exact: Mapping[str, Mapping[str, Any]]
    trains: ClassVar[bool] = False

    def __post_init__(self):
        for name in ("seeds", "interval"):
            if getattr(self, name) < 1:
                raise UserError(f"study.{name}={getattr(self, name)} is not at least 1.")
        for name in ("spectra", "momenta", "starts", "outer_steps", "meta_optimizers"):
            if not getattr(self, name):
                raise UserError(f"study.{name} is empty; give at least one.")
        if any(not 0 <= momentum < 1 for momentum in self.momenta):
            raise UserError(f"study.momenta={list(self.momenta)} should be from 0 to below 1.")
        if any(not 0 < start < 1 for start in self.starts):
            raise UserError(f"study.starts={list(self.starts)} should be between 0 and 1.")
        try:
            made = [Spectrum(**settings) for settings in self.spectra.values()]
            exact = [Exact(**settings) for settings in self.exact.values()]
        except TypeError as error:
            raise UserError(f"study.spectra or study.exact does not fit: {error}.") from error
        if len({spectrum.modes for spectrum in made}) > 1:
            raise UserError("study.spectra differ in modes; give all the same.")
        if any(isinstance(one.fall, str) for one in exact):
            raise UserError("study.exact: a fall is no number.")

    def units(self, lab: Lab) -> Iterator[Unit]:
        followed = {**self.methods, **{f"exact_{k}": Exact(**v) for k, v in self.exact.items()}}
        programs: dict[tuple, Programs] = {}  # of what shapes and constants follow from
        for momentum in self.momenta:
            for length in sorted(self.outer_steps):
                for meta, optimizer in self.meta_optimizers.items():
                    for name, method in followed.items():
                        about: Row = {"momentum": momentum, "outer_steps": length}
                        about |= {"meta_optimizer": meta, "method": name}
                        wanted = getattr(method, "wanted", lambda _: None)(self.interval)
                        shared = programs.setdefault((momentum, wanted), Programs())
                        rest = optimizer, method, shared
                        courses = [Course(momentum, length, s, *rest) for s in self.starts]
                        measure = partial(self._measure, lab, about, courses)
                        yield Unit(f"m{momentum:g}-{length}-{meta}-{name}", measure)

    def _measure(self, lab: Lab, about: Row, courses: Sequence[Course]) -> Measurement:
        rows = []
        with jax.enable_x64(True):
            for course in courses:
                for (name, seed), (loss, best) in self._run(lab, course).items():
                    row: Row = {"spectrum": name, "start": course.start, "seed": seed}
                    regret = loss / best if np.isfinite(loss) else np.inf
                    rows.append({**about, **row, "loss": loss, "regret": regret})
        return Measurement(rows)

    def _run(self, lab: Lab, course: Course) -> dict[tuple[str, int], tuple[float, float]]:
        """By spectrum and seed, the final loss and that of the best schedule."""
        spectra = {name: Spectrum(**settings) for name, settings in self.spectra.items()}
        rate = course.start * (1 - course.momentum)
        problem = NoisyQuadratic(next(iter(spectra.values())), rate, course.momentum)
        lanes = {
            STARTED * place + lab.seed * self.seeds + seed: (name, seed)
            for place, name in enumerate(spectra)
            for seed in range(self.seeds)
        }
        examples = {lane: spectra[name].examples() for lane, (name, _) in lanes.items()}
        train = self._follow if isinstance(course.method, Exact) else self._train
        states = train(problem, examples, course)
        found = {}
        for lane, (name, seed) in lanes.items():
            weight = examples[lane]["weight"][0]
            loss = 0.5 * float(weight @ np.asarray(states[lane].params) ** 2)
            place = course.momentum, course.start, course.outer_steps
            best = best_schedule(spectra[name], *place, self.interval, self.meta_rate)
            found[name, seed] = loss, best
        return found

    def _train(
        self, problem: NoisyQuadratic, examples: Mapping[int, Batch], course: Course
    ) -> dict[int, InnerState]:
        """The states at the end of runs by a method."""
        steps = course.outer_steps * self.interval
        loop = run(
            problem,
            {lane: Splits(found, found) for lane, found in examples.items()},
            course.method,
            steps=steps,
            interval=self.interval,
            batch_size=1,
            eval_every=steps,
            meta_optimizer=course.meta_optimizer,
            mode=Auto(),
            programs=course.programs,
        )
        *_, _ = loop
        return loop.states

    def _follow(
        self, problem: NoisyQuadratic, examples: Mapping[int, Batch], course: Course
    ) -> dict[int, InnerState]:
        """The states at the end of runs along an exact derivative, with the noise of a run's."""
        tau, optimizer, exact = self.interval, course.meta_optimizer, course.method
        falls = exact.fall * self.meta_rate

        def advance(seed: Array, examples: Batch, carry: tuple, left: Array) -> tuple:
            state, phi, meta = carry
            used = phi  # the interval's; what follows moves those to come

            def step(state: InnerState, _: None) -> tuple[InnerState, None]:
                key = jax.random.fold_in(jax.random.key(seed), state.step)
                return problem.step(state, used, examples, key)[0], None

            settings = {"momentum": course.momentum, "interval": tau}
            x, rest = phi["learning_rate"], float(exact.rest)
            parts = derivative(state, examples, x, falls, rest, left, **settings)
            updates, moved = optimizer.update({"learning_rate": sum(parts)}, meta, phi)
            # As a run does, it stays where a step would not be finite.
            new = optax.apply_updates(phi, updates), moved
            fine = jnp.isfinite(sum(parts))
            phi, meta = jax.tree.map(partial(jnp.where, fine), new, (phi, meta))
            return jax.lax.scan(step, state, length=tau)[0], phi, meta

        def whole(seed: Array, examples: Batch) -> InnerState:
            state, phi = problem.init(jax.random.key(0))
            start = state, phi, optimizer.init(phi)

            def body(s: Array, carry: tuple) -> tuple:
                return advance(seed, examples, carry, course.outer_steps - s)

            return jax.lax.fori_loop(0, course.outer_steps, body, start)[0]

        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *examples.values())
        ends = jax.jit(jax.vmap(whole))(jnp.array(list(examples)), stacked)
        return {
            lane: jax.tree.map(lambda leaf: leaf[i], ends)  # noqa: B023
            for i, lane in enumerate(examples)
        }


@cache
def best_schedule(
    spectrum: Spectrum,
    momentum: float,
    start: float,
    outer_steps: int,
    interval: int,
    meta_rate: float,
) -> float:
    """The lowest expected final loss of two-piece schedules from an effective rate."""
    levels, start = LEVELS * (1 - momentum), start * (1 - momentum)
    turns = np.arange(0, outer_steps + 1, max(1, outer_steps // TURNS))
    pairs = np.array([(np.log(v / (1 - v)), turn) for v in levels for turn in turns])
    logit, examples = np.log(start / (1 - start)), spectrum.examples()
    sizes = {"outer_steps": outer_steps, "momentum": momentum, "interval": interval}
    return float(np.nanmin(_final_losses(pairs, logit, meta_rate, examples, **sizes)))


@partial(jax.jit, static_argnames=("outer_steps", "momentum", "interval"))
def _final_losses(
    pairs: Float[Array, "schedules 2"],
    start: Scalar,
    meta_rate: Scalar,
    examples: Batch,
    *,
    outer_steps: int,
    momentum: float,
    interval: int,
) -> Float[Array, " schedules"]:
    """Of schedules given by the logit of a level and the interval where they begin to fall."""
    ones = jnp.ones_like(examples["curvature"][0])
    mean = jnp.stack([ones, 0 * ones], axis=-1)
    begin = start, Moments(mean, jnp.zeros((*mean.shape, 2)))

    def final(pair: Array) -> Scalar:
        def body(s: Array, carry: tuple[Array, Moments]) -> tuple[Array, Moments]:
            x, moments = carry
            moments = after(moments, examples, jax.nn.sigmoid(x), momentum, interval)
            towards = jnp.where(s < pair[1], pair[0], LOWEST)
            return x + jnp.clip(towards - x, -meta_rate, meta_rate), moments

        progress, noise = jax.lax.fori_loop(0, outer_steps, body, begin)[1].loss(examples)
        return progress + noise

    return jax.lax.map(final, pairs, batch_size=64)
