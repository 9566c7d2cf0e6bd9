"""One seed against three: in one program, side by side, or one after another."""

from functools import partial

from benchmarks.comparison import Candidate, Comparison, Entry, Target, costs
from benchmarks.runs import whole_run
from benchmarks.work import FULL, Scale

ONE, TOGETHER, IN_TURN = "one seed", "three, one program", "three, in turn"


def build(scale: Scale = FULL) -> Entry:
    """A run of plain training, one of local and one of glocal, each by one seed and by three."""
    window = [f"method.window={scale.stretch // 2}", f"method.delays={max(1, scale.stretch // 10)}"]
    length = [f"interval={scale.stretch}", f"steps={scale.stretch}"]
    comparisons, targets = [], []
    for method, more in {"none": (), "local": (), "glocal": window}.items():
        subset = f"validation.subset={scale.subset}"
        run = partial(whole_run, scale, f"method={method}", subset, *length, *more)
        three = {"seeds": (0, 1, 2)}
        runs = {ONE: run(), TOGETHER: run(**three), IN_TURN: run(**three, together=False)}
        ways = tuple(Candidate(name, call, compared=False) for name, call in runs.items())
        comparisons.append(Comparison(method, ways, unit="run"))
        together = costs(method, TOGETHER)
        for name, other in {"in turn": IN_TURN, ONE: ONE}.items():
            ratio = f"{method}: {TOGETHER} / {name}"
            targets.append(Target(ratio, None, together, costs(method, other)))
    return Entry(
        "One seed and three",
        tuple(comparisons),
        tuple(targets),
        (
            f"Runs of {scale.stretch} steps of {scale.batch} images with their evaluations, "
            f"{scale.subset:,} validation images to a hypergradient; compiling is left out.",
        ),
    )
