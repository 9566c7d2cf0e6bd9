"""How times grow with tau, q, p, the validation images and T, one varied at a time."""

from collections.abc import Iterator

import jax

from benchmarks.comparison import Candidate, Comparison, Entry
from benchmarks.ours import Ours
from benchmarks.runs import whole_run
from benchmarks.work import CHOICES, FULL, Scale, Work, make_work

REPRODUCIBLE = 40  # steps, up to which two formulations of h can be compared in float32


def build(scale: Scale = FULL) -> Entry:
    """A comparison for each point of each axis."""
    return Entry(
        "Scaling",
        (*_tau(scale), *_q(scale), *_p(scale), *_validation(scale), *_length(scale)),
        notes=(
            f"Batches of {scale.batch} images, q = 3, p = 15,386 and {scale.subset:,} validation "
            "images where they are not varied; p is varied by the filters of both convolutions.",
            f"T is varied with tau = {scale.stretch}; `global` plays training out to its end at "
            "every outer step.",
        ),
    )


def _tau(scale: Scale) -> Iterator[Comparison]:
    work = make_work(scale, steps=scale.interval).tuning(3).cut(validation=scale.subset)
    for tau in sorted({max(1, scale.interval * part // 20) for part in (1, 4, 10, 20)}):
        ways = _modes(work.cut(steps=tau), compared=tau <= REPRODUCIBLE)
        yield Comparison(f"one h, tau = {tau}", ways, unit="h", point=("tau (steps)", tau))


def _q(scale: Scale) -> Iterator[Comparison]:
    work = make_work(scale).cut(validation=scale.subset)
    for q in CHOICES:
        name, point = f"one h over {work.steps} steps, q = {q}", ("q (hyperparameters)", q)
        yield Comparison(name, _modes(work.tuning(q)), unit="h", point=point)


def _p(scale: Scale) -> Iterator[Comparison]:
    for filters in scale.filters:
        work = make_work(scale, f"model.filters={filters}").tuning(3).cut(validation=scale.subset)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(work.start[0].params))
        ways = (Ours(work).way("plain training", "plain", compared=False), *_modes(work))
        name, point = f"{work.steps} steps, p = {parameters}", ("p (parameters)", parameters)
        yield Comparison(name, ways, unit="run", point=point)


def _validation(scale: Scale) -> Iterator[Comparison]:
    work, part = make_work(scale), "validation gradient"
    for images in sorted({max(2, scale.validation // part) for part in (60, 6, 2, 1)}):
        way = Ours(work.cut(validation=images)).way(part, "validation_gradient")
        name, point = f"{part}, {images} images", ("validation images", images)
        yield Comparison(name, (way,), unit="gradient", point=point)


def _length(scale: Scale) -> Iterator[Comparison]:
    tau = scale.stretch
    window = [f"method.window={tau * 4 // 5}", f"method.delays={max(1, tau // 10)}"]
    methods = {"none": [], "local": ["hypergradient=auto"], "glocal": window, "global": []}
    for steps in (tau, 2 * tau, 4 * tau):
        common = [f"interval={tau}", f"validation.subset={scale.subset}", f"steps={steps}"]
        ways = tuple(
            whole_run(name, scale, f"method={name}", *common, *more)
            for name, more in methods.items()
        )
        yield Comparison(f"whole run, T = {steps}", ways, unit="run", point=("T (steps)", steps))


def _modes(work: Work, *, compared: bool = True) -> tuple[Candidate, ...]:
    ours = Ours(work)
    return tuple(ours.way(mode, mode, compared=compared) for mode in ("forward", "reverse"))
