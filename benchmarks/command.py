"""`make bench`: time what is asked for beside its peers, and write tables, JSON and figures."""

import argparse
import importlib
import json
import pkgutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import draw, entries, machine
from benchmarks.comparison import Disagreement, Entry
from benchmarks.measure import concluded, measure
from benchmarks.report import document
from glocal_exp.errors import UserError
from glocal_exp.report import style
from glocal_exp.store.files import make_directory, write_atomically

OUTPUT = Path(__file__).parents[1] / "results" / "benchmarks"
TARGETS_FOR = 2  # cores
LOADED = 0.5
"""Processes a core in the minute before, from which on timings are called doubtful."""
DISTURBED = 0.1
"""Share of the cores' time that others took meanwhile, from which on they are doubtful too."""


def names() -> list[str]:
    """The entries: the files of `benchmarks/entries`."""
    return sorted(module.name for module in pkgutil.iter_modules(entries.__path__))


def build(name: str, *, small: bool) -> Entry:
    """The entry of that name, built; only now JAX is imported."""
    from benchmarks.work import FULL, SMALL

    module = importlib.import_module(f"{entries.__name__}.{name}")
    return module.build(SMALL if small else FULL)


def main(arguments: Sequence[str]) -> int:
    """Print and write the results; 1 if some disagree, 2 if it cannot run."""
    options = _parse(arguments)
    try:
        make_directory(options.output)
        load = machine.load()
        machine.use_cores(options.cores)
        for name in options.names:
            result = _again(name, options) if options.draw else _measured(name, options, load)
            print(write(result | {"doubtful": doubts(result)}, name, options.output), flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Disagreement as error:
        print(f"error: not the same work: {error}", file=sys.stderr)
        return 1
    return 0


def write(result: dict[str, Any], name: str, folder: Path) -> str:
    """Put table, JSON and figures into `folder`; the table."""
    text = document(result)
    with style.applied():
        files = style.render(draw.figure(result))
    files |= {"json": (json.dumps(result, indent=2) + "\n").encode(), "md": text.encode()}
    for suffix, content in files.items():
        write_atomically(folder / f"{name}.{suffix}", content)
    return text


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


def _measured(name: str, options: argparse.Namespace, load: float) -> dict[str, Any]:
    clock = time.process_time if options.cpu_time else time.perf_counter
    result = measure(build(name, small=options.small), options.rounds, clock)
    return result | {
        "machine": machine.describe(),
        "time": "CPU time" if options.cpu_time else "time passed",
        "small": options.small,
        "load_before": load,
    }


def _again(name: str, options: argparse.Namespace) -> dict[str, Any]:
    path = options.output / f"{name}.json"
    if not path.exists():
        raise UserError(f"{path} does not exist; measure it first, without --draw.")
    stored = json.loads(path.read_text())
    return concluded(stored, build(name, small=stored["small"]))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmark.py", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", help=f"of {', '.join(names())}; all by default")
    add("--rounds", type=int, default=11, help="of each candidate (%(default)s)")
    add("--cores", type=int, default=2, help="used at most (%(default)s)")
    add("--cpu-time", action="store_true", help="of this process: with --cores 1, if it is busy")
    add("--small", action="store_true", help="sizes of seconds, to try it")
    add("--draw", action="store_true", help="stored times anew: targets, figures")
    add("--output", type=Path, default=OUTPUT, help="folder (%(default)s)")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.cores) < 1:
        parser.error("--rounds and --cores are at least 1")
    if unknown := [name for name in options.names if name not in names()]:
        parser.error(f"there is no {', '.join(unknown)}; choose from {', '.join(names())}")
    options.names = options.names or names()
    return options
