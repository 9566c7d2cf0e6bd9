"""The demonstration: four methods on the embedded images, then figures, tables and a summary."""

from collections.abc import Sequence
from pathlib import Path

from glocal_exp.app.main import entry_point, run
from glocal_exp.app.reproduce import sweep, sweeps, swept
from glocal_exp.app.rerun import text_of
from glocal_exp.app.stop import Stop
from glocal_exp.errors import UserError
from glocal_exp.places import OUTPUTS, ROOT

OUTPUT = OUTPUTS / "demo"
FIGURES, TABLES = ("demo",), ("demo_accuracy", "demo_run_time")


def demo(settings: Sequence[str], stop: Stop) -> int:
    """Train, draw and sum up what is missing of it; settings as of `glocal train`."""
    if {"-h", "--help"} & set(settings):
        print(f"usage: glocal demo [KEY=VALUE ...]\n\n{__doc__}")
        return 0
    for setting in settings:
        if setting.startswith("-") or not ("=" in setting or setting.startswith("~")):
            raise UserError(f"{setting!r} is no setting; write KEY=VALUE, or nothing.")
    own = ["tracker=none", f"output_dir={text_of(str(OUTPUT))}"]
    from glocal_exp.app.compose import jobs

    (where, *_) = jobs([s for s in settings if s.startswith("output_dir=")], sweep=False)
    output = Path(where.config.output_dir if settings else OUTPUT)
    if code := run(["-m", *sweep([*own, *sweeps("demo")[0]], settings)], stop):
        return code
    from glocal_exp.report.build import main as build

    where = ["--runs", str(output / "runs"), "--out", str(output)]
    code = max(build("figure", ROOT, [*FIGURES, *where]), build("table", ROOT, [*TABLES, *where]))
    if code == 0:
        print(_summary(output))
    return code


def _summary(output: Path) -> str:
    from glocal_exp.store import find_runs

    complete = find_runs(output / "runs", {"experiment": "demo", "status": "complete"})
    steps = max(stored.column("steps") for stored in complete)
    complete = [stored for stored in complete if stored.column("steps") == steps]
    methods = swept("demo")["method"].split(",")
    order = {method: place for place, method in enumerate(methods)}
    lines = ["", f"Test accuracy after {steps} steps on {complete[0].column('notice')}:"]
    for stored in sorted(complete, key=lambda stored: order.get(stored.method, len(order))):
        accuracy = stored.metrics().to_dict("records")[-1]["test_accuracy"]
        lines.append(f"  {stored.method:<8} seed {stored.seed}  {accuracy:.3f}")
    figures = ", ".join(str(output / f"{name}.png") for name in FIGURES)
    tables = ", ".join(str(output / f"{name}.md") for name in TABLES)
    return "\n".join(
        [*lines, f"Figure: {figures}", f"Tables: {tables}", f"Runs:   {output / 'runs'}"]
    )


main = entry_point(demo)
