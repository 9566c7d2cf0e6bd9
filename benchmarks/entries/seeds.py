"""One seed against three: in one program, side by side, or one after another."""

from benchmarks.experiments import Scale, whole_run
from benchmarks.measure import Comparison, Entry, Target, costs

SEEDS = (0, 1, 2)
ONE, TOGETHER, IN_TURN = "one seed", "three, one program", "three, in turn"


def build(scale: Scale) -> Entry:
    """A run of plain training, one of local and one of glocal, each by one seed and by three."""
    tau = scale.stretch
    common = [f"validation.subset={scale.subset}", f"interval={tau}", f"steps={tau}"]
    window = [f"method.window={max(2, tau // 2)}", f"method.delays={max(1, tau // 10)}"]
    comparisons, targets = [], []
    for method, more in {"none": [], "local": [], "glocal": window}.items():
        settings = (scale, f"method={method}", *common, *more)
        together = whole_run(TOGETHER, *settings, seeds=SEEDS)
        in_turn = whole_run(IN_TURN, *settings, seeds=SEEDS, together=False)
        ways = [whole_run(ONE, *settings), together, in_turn]
        comparisons.append(Comparison(method, ways, unit="run"))
        for name, other in {"in turn": IN_TURN, ONE: ONE}.items():
            sides = costs(method, TOGETHER), costs(method, other)
            targets.append(Target(f"{method}: {TOGETHER} / {name}", None, *sides))
    notes = (
        f"Runs of {tau} steps of {scale.batch} images with their evaluations, "
        f"{scale.subset:,} validation images to a hypergradient; compiling is left out.",
    )
    return Entry("One seed and three", comparisons, targets, notes)
