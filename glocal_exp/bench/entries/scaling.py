"""How times grow with tau, q, p, the validation images and T, one varied at a time."""

from collections.abc import Callable, Iterator
from typing import Any

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Outcome
from glocal_exp.bench.ours import Ours
from glocal_exp.bench.ours_hypergradient import OurHypergradients, outcome
from glocal_exp.bench.rules import CHOICES
from glocal_exp.bench.runs import whole_run
from glocal_exp.bench.work import FULL, Scale, Work, scaled

REPRODUCIBLE = 40
"""Up to so many steps two formulations of h can be compared in float32."""


def build(scale: Scale = FULL) -> Entry:
    """A comparison for each point of each axis."""
    makers = (_tau, _q, _p, _validation, _length)
    return Entry(
        "Scaling",
        tuple(comparison for maker in makers for comparison in maker(scale)),
        notes=(
            f"Batches of {scale.batch} images, q = 3, p = 15,386 and {scale.subset:,} validation "
            "images where they are not varied; p is varied by the filters of both convolutions.",
            f"T is varied with tau = {scale.stretch}; `global` plays training out to its end at "
            "every outer step.",
        ),
    )


def _tau(scale: Scale) -> Iterator[Comparison]:
    work = scaled(scale, steps=scale.interval).tuning(3).validated_on(scale.subset)
    for tau in sorted({max(1, scale.interval * part // 20) for part in (1, 4, 10, 20)}):
        ways = _modes(work.cut(tau), compare=tau <= REPRODUCIBLE)
        yield Comparison(f"one h, tau = {tau}", ways, unit="h", point=("tau (steps)", tau))


def _q(scale: Scale) -> Iterator[Comparison]:
    work = scaled(scale).validated_on(scale.subset)
    for q in CHOICES:
        ways = _modes(work.tuning(q))
        name = f"one h over {len(work.x)} steps, q = {q}"
        yield Comparison(name, ways, unit="h", point=("q (hyperparameters)", q))


def _p(scale: Scale) -> Iterator[Comparison]:
    for filters in scale.filters:
        work = scaled(scale, f"model.filters={filters}").tuning(3).validated_on(scale.subset)
        parameters = sum(len(leaf.ravel()) for leaf in _leaves(work))
        ours = Ours(work)
        ways = (Candidate("plain training", _late(ours, "plain")), *_modes(work))
        name = f"{len(work.x)} steps, p = {parameters}"
        yield Comparison(name, ways, unit="run", point=("p (parameters)", parameters))


def _validation(scale: Scale) -> Iterator[Comparison]:
    work = scaled(scale)
    for images in sorted({max(2, scale.validation // part) for part in (60, 6, 2, 1)}):
        run = _late(Ours(work.validated_on(images)), "validation_gradient")
        way = Candidate("validation gradient", run)
        name = f"validation gradient, {images} images"
        point = ("validation images", images)
        yield Comparison(name, (way,), work.gradients, "gradient", point=point)


def _length(scale: Scale) -> Iterator[Comparison]:
    tau = scale.stretch
    settings = [f"interval={tau}", f"validation.subset={scale.subset}"]
    window = [f"method.window={tau * 4 // 5}", f"method.delays={max(1, tau // 10)}"]
    for intervals in (1, 2, 4):
        chosen = [*settings, f"steps={intervals * tau}"]
        ways = tuple(
            Candidate(name, whole_run(scale, f"method={name}", *chosen, *more))
            for name, more in (
                ("none", ()),
                ("local", ("hypergradient=auto",)),
                ("glocal", window),
                ("global", ()),
            )
        )
        name = f"whole run, T = {intervals * tau}"
        yield Comparison(name, ways, unit="run", point=("T (steps)", intervals * tau))


def _modes(work: Work, *, compare: bool = True) -> tuple[Candidate, ...]:
    ours = OurHypergradients(work)
    return tuple(
        Candidate(mode, _late(ours, mode), _compared(_late(ours, mode)) if compare else None)
        for mode in ("forward", "reverse")
    )


def _late(ours: Any, name: str) -> Callable[[], Any]:
    """Compiled when it is first called."""
    return lambda: getattr(ours, name)()


def _compared(run: Callable[[], Any]) -> Callable[[], Outcome]:
    return lambda: outcome(run())


def _leaves(work: Work) -> list:
    import jax

    return jax.tree.leaves(work.start[0].params)
