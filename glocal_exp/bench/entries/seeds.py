"""One seed against three: in one program, side by side, or one after another."""

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Target
from glocal_exp.bench.runs import whole_run
from glocal_exp.bench.work import FULL, Scale

ONE, TOGETHER, IN_TURN = "one seed", "three, one program", "three, in turn"


def build(scale: Scale = FULL) -> Entry:
    """A run of plain training, one of local and one of glocal, each by one seed and by three."""
    window = [f"method.window={scale.stretch // 2}", f"method.delays={max(1, scale.stretch // 10)}"]
    chosen = [f"validation.subset={scale.subset}", f"interval={scale.stretch}"]
    chosen.append(f"steps={scale.stretch}")
    comparisons, targets = [], []
    for method, more in (("none", ()), ("local", ()), ("glocal", window)):
        settings = [f"method={method}", *chosen, *more]
        ways = (
            Candidate(ONE, whole_run(scale, *settings)),
            Candidate(TOGETHER, whole_run(scale, *settings, seeds=(0, 1, 2))),
            Candidate(IN_TURN, whole_run(scale, *settings, seeds=(0, 1, 2), together=False)),
        )
        comparisons.append(Comparison(method, ways, unit="run"))
        one, together, in_turn = [({(method, way): 1.0},) for way in (ONE, TOGETHER, IN_TURN)]
        targets.append(Target(f"{method}: {TOGETHER} / in turn", None, together, in_turn))
        targets.append(Target(f"{method}: {TOGETHER} / {ONE}", None, together, one))
    return Entry(
        "One seed and three",
        tuple(comparisons),
        tuple(targets),
        (
            f"Runs of {scale.stretch} steps of {scale.batch} images with their evaluations, "
            f"{scale.subset:,} validation images to a hypergradient; compiling is left out.",
        ),
    )
