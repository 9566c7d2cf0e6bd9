"""How times grow with tau, q, p, the validation images and T, one varied at a time."""

from collections.abc import Iterator

import jax

from benchmarks.experiments import Scale, whole_run
from benchmarks.measure import Candidate, Comparison, Entry
from benchmarks.work import CHOICES, Work, make_work

REPRODUCIBLE = 40  # steps, up to which two formulations of h can be compared in float32


def build(scale: Scale) -> Entry:
    """A comparison for each point of each axis."""
    notes = (
        f"Batches of {scale.batch} images, q = 3, p = 15,386 and {scale.subset:,} validation "
        "images where they are not varied; p is varied by the filters of both convolutions.",
        f"T is varied with tau = {scale.stretch}; `global` plays training out to its end at "
        "every outer step.",
    )
    return Entry("Scaling", [*_derivatives(scale), *_whole_runs(scale)], notes=notes)


def _derivatives(scale: Scale) -> Iterator[Comparison]:
    steps, work = scale.steps, make_work(scale)
    long = make_work(scale, steps=scale.interval).tuning(3).cut(validation=scale.subset)
    for tau in sorted({max(1, scale.interval * part // 20) for part in (1, 4, 10, 20)}):
        ways, point = _modes(long.cut(steps=tau), tau <= REPRODUCIBLE), ("tau (steps)", tau)
        yield Comparison(f"one h, tau = {tau}", ways, unit="h", point=point)
    some = work.cut(validation=scale.subset)
    for q in CHOICES:
        ways, point = _modes(some.tuning(q)), ("q (hyperparameters)", q)
        yield Comparison(f"one h over {steps} steps, q = {q}", ways, unit="h", point=point)
    for filters in scale.filters:
        made = make_work(scale, f"model.filters={filters}").tuning(3).cut(validation=scale.subset)
        p = sum(leaf.size for leaf in jax.tree.leaves(made.given.state.params))
        ways = [made.ours("plain training", "plain", compared=False), *_modes(made)]
        yield Comparison(f"{steps} steps, p = {p}", ways, unit="run", point=("p (parameters)", p))
    name = "validation gradient"
    for images in sorted({max(2, scale.validation // part) for part in (60, 6, 2, 1)}):
        way = work.cut(validation=images).ours(name, "validation_gradient")
        point = "validation images", images
        yield Comparison(f"{name}, {images} images", [way], unit="gradient", point=point)


def _whole_runs(scale: Scale) -> Iterator[Comparison]:
    tau = scale.stretch
    window = [f"method.window={tau * 4 // 5}", f"method.delays={max(1, tau // 10)}"]
    methods = {"none": [], "local": ["hypergradient=auto"], "glocal": window, "global": []}
    for steps in (tau, 2 * tau, 4 * tau):
        common = [f"interval={tau}", f"validation.subset={scale.subset}", f"steps={steps}"]
        ways = [
            whole_run(name, scale, f"method={name}", *common, *more)
            for name, more in methods.items()
        ]
        yield Comparison(f"whole run, T = {steps}", ways, unit="run", point=("T (steps)", steps))


def _modes(work: Work, compared: bool = True) -> list[Candidate]:
    return [work.ours(mode, mode, compared=compared) for mode in ("forward", "reverse")]
