"""The library's front door: bilevel optimization of a problem of one's own, without Hydra."""

from collections.abc import Mapping, Sequence

import optax

from glocal_exp.engine.compiled import Programs
from glocal_exp.engine.contract import check_kinds, check_problem
from glocal_exp.engine.examples import Splits
from glocal_exp.engine.loop import Hooks, Loop
from glocal_exp.engine.modes.forward import Forward
from glocal_exp.engine.plan import Choice, Plan
from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.methods.method import Method
from glocal_exp.types import InnerProblem


def run(
    problem: InnerProblem,
    splits: Splits | Mapping[int, Splits],
    method: Method,
    *,
    steps: int,
    interval: int,
    batch_size: int,
    seed: int = 0,
    eval_every: int | None = None,
    meta_optimizer: optax.GradientTransformation | None = None,
    mode: Choice | None = None,
    numerics: Numerics | None = None,
    carry_tangents: bool = False,
    stop_when_diverged: bool = False,
    hooks: Hooks | None = None,
    checkpoints: Mapping[int, Sequence[bytes]] | None = None,
    programs: Programs | None = None,
) -> Loop:
    """Optimize hyperparameters while training; iterate over the result to make it happen.

    Args:
        problem: what is trained and what its hyperparameters are.
        splits: the examples, or one for each seed to run those seeds side by side.
        method: which hypergradient to follow.
        steps: T, training steps.
        interval: tau, training steps to an outer step.
        batch_size: training examples to a step.
        seed: of the initial parameters and of the batches; ignored when `splits` is by seed.
        eval_every: take metrics every so many steps; every interval by default.
        meta_optimizer: takes the hyperparameters' step; Adam at 0.1 by default (section 4).
        mode: how hypergradients are computed; forward mode by default.
        numerics: sizes of the pieces in which the work is done.
        carry_tangents: keep Z across intervals instead of starting each from zero.
        stop_when_diverged: end a seed when its weights are no longer finite.
        hooks: checkpoints, progress, which arrays to keep.
        checkpoints: by seed, bytes that `hooks.checkpoint` was given, newest first.
        programs: those of an earlier run of the same problem and numerics, not to compile again.

    Raises:
        UserError: when the settings do not fit each other or the data, or the problem is none.
    """
    check_kinds(
        meta_optimizer=(meta_optimizer, optax.GradientTransformation),
        numerics=(numerics, Numerics),
        hooks=(hooks, Hooks),
    )
    schedule = Schedule(steps, interval, batch_size, eval_every)
    mode, numerics = mode or Forward(), numerics or Numerics()
    plan = Plan(schedule, method, mode, numerics, carry_tangents, stop_when_diverged)
    by_seed = splits if isinstance(splits, Mapping) else {seed: splits}
    if programs is None:  # else it has run before
        check_problem(problem, by_seed, batch_size)
    return Loop(
        problem,
        by_seed,
        plan,
        meta_optimizer=meta_optimizer,
        hooks=hooks,
        checkpoints=checkpoints,
        programs=programs,
    )
