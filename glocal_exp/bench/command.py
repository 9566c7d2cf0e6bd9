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

from glocal_exp.bench import draw, entries, machine
from glocal_exp.bench.comparison import Disagreement, Entry
from glocal_exp.bench.measure import concluded, measure
from glocal_exp.bench.report import document
from glocal_exp.errors import UserError
from glocal_exp.report import style
from glocal_exp.store.files import make_directory, write_atomically

OUTPUT = Path(__file__).parents[2] / "results" / "benchmarks"
TARGETS_FOR = 2  # cores


def names() -> list[str]:
    """The entries: the files of `bench/entries`."""
    return sorted(module.name for module in pkgutil.iter_modules(entries.__path__))


def build(name: str, *, small: bool) -> Entry:
    """The entry of that name, built; only now JAX is imported."""
    from glocal_exp.bench.work import FULL, SMALL

    module = importlib.import_module(f"{entries.__name__}.{name}")
    return module.build(SMALL if small else FULL)


def main(arguments: Sequence[str]) -> int:
    """Print and write the results; 1 if some disagree, 2 if it cannot run."""
    options = _parse(arguments)
    try:
        make_directory(options.output)
        if options.draw:
            for name in options.names:
                stored = json.loads(_stored(options.output / f"{name}.json"))
                entry = build(name, small=stored["small"])
                result = concluded(stored, entry)
                write(result | {"doubtful": doubts(result)}, name, options.output)
            return 0
        load = machine.load()
        use_cores(options.cores)
        for name in options.names:
            result = _result(name, options, load)
            print(write(result, name, options.output), flush=True)
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
    found, others = [], result["others"]
    # What others did meanwhile decides; where it is unknown, the load of the minute before does.
    if others is None and result["load_before"] > machine.LOADED:
        found.append("the machine was busy before the start")
    if others is not None and others > machine.DISTURBED:
        found.append("it was busy with other work meanwhile")
    if result["machine"]["cores"] != TARGETS_FOR:
        found.append(f"targets are for {TARGETS_FOR} cores, {result['machine']['cores']} used")
    if result["time"] != "time passed":
        found.append(f"{result['time']} was taken")
    if result["small"]:
        found.append("the sizes are small ones, to try the benchmark")
    return found


def use_cores(number: int) -> None:
    """Keep this process, with JAX and PyTorch, to so many cores; before either is imported."""
    if hasattr(os, "sched_setaffinity"):  # elsewhere both take all
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    torch.set_num_threads(machine.cores())


def _result(name: str, options: argparse.Namespace, load: float) -> dict[str, Any]:
    clock = time.process_time if options.cpu_time else time.perf_counter
    result = measure(build(name, small=options.small), options.rounds, clock)
    result |= {
        "machine": machine.describe(),
        "time": "CPU time" if options.cpu_time else "time passed",
        "small": options.small,
        "load_before": load,
    }
    return result | {"doubtful": doubts(result)}


def _stored(path: Path) -> str:
    if not path.exists():
        raise UserError(f"{path} does not exist; measure it first, without --draw.")
    return path.read_text()


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmark.py", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names())}; all by default")
    parser.add_argument("--rounds", type=int, default=11, help="of each candidate (%(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="used at most (%(default)s)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="of this process instead of time passed: with --cores 1, for a busy machine",
    )
    parser.add_argument("--small", action="store_true", help="sizes of seconds, to try it")
    parser.add_argument("--draw", action="store_true", help="stored times anew: targets, figures")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder (%(default)s)")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.cores) < 1:
        parser.error("--rounds and --cores are at least 1")
    if unknown := [name for name in options.names if name not in names()]:
        parser.error(f"there is no {', '.join(unknown)}; choose from {', '.join(names())}")
    options.names = options.names or names()
    return options
