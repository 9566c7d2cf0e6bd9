"""One seed against three: in one program, side by side, or one after another."""

from functools import partial

from benchmarks.comparison import Candidate, Comparison, Entry, Target, costs
from benchmarks.runs import whole_run
from benchmarks.work import FULL, Scale

ONE, TOGETHER, IN_TURN = "one seed", "three, one program", "three, in turn"


def build(scale: Scale = FULL) -> Entry:
    """A run of plain training, one of local and one of glocal, each by one seed and by three."""
    tau, three = scale.stretch, {"seeds": (0, 1, 2)}
    common = [f"validation.subset={scale.subset}", f"interval={tau}", f"steps={tau}"]
    window = [f"method.window={tau // 2}", f"method.delays={max(1, tau // 10)}"]
    comparisons, targets = [], []
    for method, more in {"none": [], "local": [], "glocal": window}.items():
        run = partial(whole_run, scale, f"method={method}", *common, *more)
        runs = {ONE: run(), TOGETHER: run(**three), IN_TURN: run(**three, together=False)}
        ways = tuple(Candidate(name, call, compared=False) for name, call in runs.items())
        comparisons.append(Comparison(method, ways, unit="run"))
        for name, other in {"in turn": IN_TURN, ONE: ONE}.items():
            sides = costs(method, TOGETHER), costs(method, other)
            targets.append(Target(f"{method}: {TOGETHER} / {name}", None, *sides))
    notes = (
        f"Runs of {tau} steps of {scale.batch} images with their evaluations, "
        f"{scale.subset:,} validation images to a hypergradient; compiling is left out.",
    )
    return Entry("One seed and three", tuple(comparisons), tuple(targets), notes)
