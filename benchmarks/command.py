"""`make bench`: time what is asked for beside its peers, and write tables, JSON and figures."""

import importlib
import json
import pkgutil
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import entries, machine
from benchmarks.measure import Entry, concluded, measure
from benchmarks.report import document, figure
from glocal_exp.app.main import entry_point
from glocal_exp.app.stop import Stop
from glocal_exp.errors import Parser, UserError
from glocal_exp.places import RESULTS
from glocal_exp.report import style
from glocal_exp.store.files import make_directory, write_together

NAMES = sorted(module.name for module in pkgutil.iter_modules(entries.__path__))
TARGETS_FOR = 2  # cores
DISTURBED = 0.1  # of the cores' time went to others meanwhile: timings are doubtful


def run(arguments: Sequence[str], stop: Stop) -> int:
    """Print the tables and write all results; a `UserError` if candidates disagree."""
    options = _parse(arguments)
    make_directory(options.output)
    machine.use_cores(options.cores)
    for name in options.names or NAMES:
        result = _result(name, options)
        result["doubtful"] = doubts(result)
        text = document(result)
        with style.applied():
            files = style.render(figure(result))
        files |= {"json": (json.dumps(result, indent=2) + "\n").encode(), "md": text.encode()}
        write_together({options.output / f"{name}.{end}": one for end, one in files.items()})
        print(text, flush=True)
    return 0


def build(name: str, small: bool) -> Entry:
    """The entry of that name; only now JAX is imported."""
    from benchmarks.experiments import FULL, SMALL

    return importlib.import_module(f"{entries.__name__}.{name}").build(SMALL if small else FULL)


def doubts(result: dict[str, Any]) -> list[str]:
    """Why the times, or verdicts about targets for two cores, are doubtful; none is best."""
    cores = result["machine"]["cores"]
    reasons = {
        "whether it was busy with other work is not known": result["others"] is None,
        "it was busy with other work meanwhile": (result["others"] or 0.0) > DISTURBED,
        f"targets are for {TARGETS_FOR} cores, {cores} used": cores != TARGETS_FOR,
        f"{result['time']} was taken": result["time"] != "time passed",
        "the sizes are small ones, to try the benchmark": result["small"],
    }
    return [reason for reason, holds in reasons.items() if holds]


def _result(name: str, options: Namespace) -> dict[str, Any]:
    """Measured, or as it is stored with the entry's targets and facts of now."""
    if options.draw:
        path = options.output / f"{name}.json"
        if not path.exists():
            raise UserError(f"{path} does not exist; measure it first, without --draw.")
        stored = json.loads(path.read_text())
        return concluded(stored, build(name, stored["small"]))
    clock = time.process_time if options.cpu_time else time.perf_counter
    result = measure(build(name, options.small), options.rounds, clock)
    kind = "CPU time" if options.cpu_time else "time passed"
    return result | {"machine": machine.describe(), "time": kind, "small": options.small}


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = Parser("benchmark.py", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)} (all)")
    add("--rounds", type=int, default=11, help="of each candidate (%(default)s)")
    add("--cores", type=int, default=2, help="used at most (%(default)s)")
    add("--cpu-time", action="store_true", help="of this process: with --cores 1, if it is busy")
    add("--small", action="store_true", help="sizes of seconds, to try it")
    add("--draw", action="store_true", help="stored times anew: targets, figures")
    add("--output", type=Path, default=RESULTS / "benchmarks", help="folder (%(default)s)")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.cores) < 1:
        parser.error("--rounds and --cores are at least 1")
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))} among {', '.join(NAMES)}")
    return options


main = entry_point(run)
