"""The demonstration: four methods on the embedded images, then figures, tables and a summary."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import yaml

from glocal_exp.app.main import guarded, run
from glocal_exp.app.rerun import text_of
from glocal_exp.app.stop import Stop
from glocal_exp.errors import UserError

ROOT = Path(__file__).parents[2]
EXPERIMENT = ROOT / "configs" / "experiment" / "demo.yaml"
OUTPUT = ROOT / "outputs" / "demo"
FIGURES, TABLES = ("demo",), ("demo_accuracy", "demo_run_time")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the demonstration, or what is missing of it; settings as in `scripts/train.py`."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(guarded(lambda stop: demo(given, stop)))


def demo(settings: Sequence[str], stop: Stop) -> int:
    """Train, draw and sum up; returns an exit code.

    Raises:
        UserError: for a setting that does not fit.
    """
    output = _output(settings)
    sweep = yaml.safe_load(EXPERIMENT.read_text())["sweep"]
    own = {"tracker": "none", "output_dir": text_of(str(output))} | sweep
    given = {setting.split("=")[0] for setting in settings}
    kept = [f"{key}={value}" for key, value in own.items() if key not in given]
    code = run(["-m", "experiment=demo", *kept, *settings], stop)
    if code == 0:
        code = _draw(output)
    if code == 0:
        print(_summary(output, sweep["method"].split(",")))
    return code


def _output(settings: Sequence[str]) -> Path:
    for setting in settings:
        if setting.startswith("-") or not ("=" in setting or setting.startswith("~")):
            raise UserError(f"{setting!r} is no setting; write KEY=VALUE, or nothing.")
    chosen = [s.removeprefix("output_dir=") for s in settings if s.startswith("output_dir=")]
    return Path(chosen[-1]) if chosen else OUTPUT


def _draw(output: Path) -> int:
    """Figures and tables from the stored runs alone."""
    from glocal_exp.report.build import main as build

    where = ["--runs", str(output / "runs"), "--out", str(output)]
    return max(
        build("figure", ROOT, [*FIGURES, *where]),
        build("table", ROOT, [*TABLES, *where]),
    )


def _summary(output: Path, methods: Sequence[str]) -> str:
    from glocal_exp.store import find_runs

    found = find_runs(output / "runs", {"experiment": "demo", "status": "complete"})
    steps = max(stored.column("steps") for stored in found)
    found = [stored for stored in found if stored.column("steps") == steps]
    order = {method: place for place, method in enumerate(methods)}
    lines = ["", f"Test accuracy after {steps} steps on {found[0].column('notice')}:"]
    for stored in sorted(found, key=lambda stored: order.get(stored.method, len(order))):
        accuracy = stored.metrics().to_dict("records")[-1]["test_accuracy"]
        lines.append(f"  {stored.method:<8} seed {stored.seed}  {accuracy:.3f}")
    figures = ", ".join(str(output / f"{name}.png") for name in FIGURES)
    tables = ", ".join(str(output / f"{name}.md") for name in TABLES)
    return "\n".join(
        [*lines, f"Figure: {figures}", f"Tables: {tables}", f"Runs:   {output / 'runs'}"]
    )
