"""`make bench`: time what is asked for beside its peers, and write tables, JSON and figures."""

import argparse
import importlib
import json
import os
import pkgutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import entries, machine
from benchmarks.comparison import Entry
from benchmarks.measure import concluded, measure
from benchmarks.report import document, figure
from glocal_exp.errors import UserError
from glocal_exp.report import style
from glocal_exp.store.files import make_directory, write_atomically

OUTPUT = Path(__file__).parents[1] / "results" / "benchmarks"
NAMES = sorted(module.name for module in pkgutil.iter_modules(entries.__path__))
TARGETS_FOR = 2  # cores
LOADED = 0.5  # processes that ran or waited, a core, in the minute before: timings are doubtful
DISTURBED = 0.1  # of the cores' time went to others meanwhile: likewise


def main(arguments: Sequence[str]) -> int:
    """Print the tables and write all results; 2 if it cannot, or candidates disagree."""
    options = _parse(arguments)
    try:
        make_directory(options.output)
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        machine.use_cores(options.cores)
        for name in options.names:
            result = _result(name, options, load)
            result["doubtful"] = doubts(result)
            text = document(result)
            with style.applied():
                files = style.render(figure(result))
            files |= {"json": (json.dumps(result, indent=2) + "\n").encode(), "md": text.encode()}
            for suffix, content in files.items():
                write_atomically(options.output / f"{name}.{suffix}", content)
            print(text, flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def build(name: str, small: bool) -> Entry:
    """The entry of that name; only now JAX is imported."""
    from benchmarks.work import FULL, SMALL

    return importlib.import_module(f"{entries.__name__}.{name}").build(SMALL if small else FULL)


def doubts(result: dict[str, Any]) -> list[str]:
    """Why the times, or verdicts about targets for two cores, are doubtful; none is best."""
    others, cores = result["others"], result["machine"]["cores"]
    # What others did meanwhile decides; where it is unknown, the load of the minute before does.
    reasons = {
        "the machine was busy before the start": others is None and result["load_before"] > LOADED,
        "it was busy with other work meanwhile": others is not None and others > DISTURBED,
        f"targets are for {TARGETS_FOR} cores, {cores} used": cores != TARGETS_FOR,
        f"{result['time']} was taken": result["time"] != "time passed",
        "the sizes are small ones, to try the benchmark": result["small"],
    }
    return [reason for reason, holds in reasons.items() if holds]


def _result(name: str, options: argparse.Namespace, load: float) -> dict[str, Any]:
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
    result |= {"machine": machine.describe(), "time": kind}
    return result | {"small": options.small, "load_before": load}


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser, known = argparse.ArgumentParser("benchmark.py", description=__doc__), ", ".join(NAMES)
    add = parser.add_argument
    add("names", nargs="*", help=f"of {known}; all by default")
    add("--rounds", type=int, default=11, help="of each candidate (%(default)s)")
    add("--cores", type=int, default=2, help="used at most (%(default)s)")
    add("--cpu-time", action="store_true", help="of this process: with --cores 1, if it is busy")
    add("--small", action="store_true", help="sizes of seconds, to try it")
    add("--draw", action="store_true", help="stored times anew: targets, figures")
    add("--output", type=Path, default=OUTPUT, help="folder (%(default)s)")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.cores) < 1:
        parser.error("--rounds and --cores are at least 1")
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {known}")
    options.names = options.names or NAMES
    return options
