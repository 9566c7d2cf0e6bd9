"""`make bench`: the parts of an interval on LeNet beside the same work in eager PyTorch."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from glocal_exp.bench import machine
from glocal_exp.bench.interleave import Timing, fastest, interleave
from glocal_exp.bench.report import table
from glocal_exp.errors import UserError
from glocal_exp.store.files import make_directory, write_atomically

OUTPUT = Path(__file__).parents[2] / "results" / "benchmarks"
AGREEMENT = 1e-3  # rounding flips a maximum of the pooling now and then; see `disagreements`
OURS = "ours"


@dataclass(frozen=True)
class Part:
    """One kind of work: ours, and the ways to do it in PyTorch.

    Attributes:
        target: the largest ratio of our time to PyTorch's fastest that is aimed at on two cores.
        calls: steps or gradients to a call of a candidate.
        outcome: what ours computes, by name.
        candidates: each does all `calls`; those of PyTorch return their outcome.
    """

    name: str
    target: float
    calls: int
    outcome: Callable[[], Mapping[str, np.ndarray]]
    candidates: Mapping[str, Callable[[], Any]]

    @property
    def peers(self) -> list[str]:
        """The ways in PyTorch."""
        return [name for name in self.candidates if name != OURS]


def parts(**sizes: int) -> list[Part]:
    """Everything built and compiled.

    Raises:
        UserError: when PyTorch is missing.
    """
    try:
        from glocal_exp.bench.torch_peer import Torch
    except ImportError as error:
        raise UserError("PyTorch is missing here; `make bench` installs it.") from error
    from glocal_exp.bench.work import Ours, make_work

    work = make_work(**sizes)
    ours, peer = Ours(work), Torch(work)
    steps, images = len(work.x), len(work.validation_x)
    plain = {OURS: ours.plain, "eager": peer.plain}
    tangent = {
        OURS: ours.tangent,
        "torch.func, vmap": lambda: peer.tangent(together=True),
        "torch.func, one by one": lambda: peer.tangent(together=False),
    }
    validation = {OURS: ours.validation_gradient} | {
        f"chunks of {size:,}" if size < images else "at once": lambda size=size: (
            peer.validation_gradient(size)
        )
        for size in (images, 1000, 100)
    }
    return [
        Part("plain step", 1.1, steps, ours.plain_outcome, plain),
        Part("tangent step, q = 3", 0.85, steps, ours.tangent_outcome, tangent),
        Part(
            f"validation gradient, {images:,} images",
            0.95,
            work.gradients,
            ours.validation_outcome,
            validation,
        ),
    ]


def disagreements(ours: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> list[str]:
    """What differs by more than rounding: one sentence a kind of result.

    A kind (all gradients, all tangents of the momentum, ...) is compared as one vector, relative to
    its norm. In float64 both agree to 1e-14; in float32 two equal windows of a pooling may be
    ranked differently, which moves single gradients of a filter by up to 1e-3.
    """
    kinds = sorted({name.split(" ", 1)[-1] for name in other})
    errors = {kind: relative(_vector(ours, kind), _vector(other, kind)) for kind in kinds}
    return [
        f"{kind} differ by {error:.1e}"
        for kind, error in errors.items()
        if not error < AGREEMENT  # NaN is no agreement
    ]


def relative(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Distance over the norm of `b`."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def row(part: Part, timings: Mapping[str, Timing]) -> dict[str, Any]:
    """Milliseconds of one step or gradient, and ratios to PyTorch's fastest, round by round."""
    best = fastest({name: timings[name] for name in part.peers})
    ratio = timings[OURS].over(timings[best])
    return {
        "part": part.name,
        "milliseconds": {
            name: [1e3 * seconds / part.calls for seconds in timing.rounds]
            for name, timing in timings.items()
        },
        "fastest_peer": best,
        "ratios": list(ratio.rounds),
        "ratio": ratio.summary(),
        "target": part.target,
        "met": ratio.median <= part.target,
    }


def benchmark(
    rounds: int, built: Sequence[Part], clock: Callable[[], float] = time.perf_counter
) -> dict[str, Any]:
    """Check that all candidates do the same work, then time them in turns.

    Raises:
        Disagreement: when they do not.
    """
    import torch  # pyright: ignore[reportMissingImports]

    for part in built:
        ours = part.outcome()
        for peer in part.peers:
            if found := disagreements(ours, part.candidates[peer]()):
                raise Disagreement(f"{part.name}, {peer}: {'; '.join(found)}")
    rows = [row(part, interleave(part.candidates, rounds, clock)) for part in built]
    return {
        "machine": machine.describe(),
        "torch_threads": torch.get_num_threads(),
        "rounds": rounds,
        "parts": rows,
        "load_after": machine.load(),
    }


class Disagreement(Exception):
    """Ours and PyTorch's results are not those of the same work."""


def main(arguments: Sequence[str]) -> int:
    """Print the table and write it and the JSON; 1 if results disagree, 2 if it cannot run."""
    parser = argparse.ArgumentParser(prog="benchmark.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="of each candidate (%(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="used at most (%(default)s)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="of this process instead of time passed: with --cores 1, for a busy machine",
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder (%(default)s)")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.cores) < 1:
        parser.error("--rounds and --cores are at least 1")
    load = machine.load()
    clock = time.process_time if options.cpu_time else time.perf_counter
    try:
        make_directory(options.output)
        use_cores(options.cores)
        result: dict[str, Any] = {"load_before": load, "loaded": load > machine.LOADED}
        result |= {"time": "CPU time" if options.cpu_time else "time passed"}
        result |= benchmark(options.rounds, parts(), clock)
        text = table(result)
        for suffix, content in ((".json", json.dumps(result, indent=2) + "\n"), (".md", text)):
            write_atomically(options.output / f"lenet_parts{suffix}", content.encode())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Disagreement as error:
        print(f"error: not the same work: {error}", file=sys.stderr)
        return 1
    print(text, end="")
    return 0


def use_cores(number: int) -> None:
    """Keep this process, with JAX and PyTorch, to so many cores; before either is imported."""
    if hasattr(os, "sched_setaffinity"):  # elsewhere both take all
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    torch.set_num_threads(machine.cores())


def _vector(results: Mapping[str, np.ndarray], kind: str) -> Float[np.ndarray, " n"]:
    found = [np.ravel(results[n]) for n in sorted(results) if n.split(" ", 1)[-1] == kind]
    return np.concatenate(found).astype(np.float64)
