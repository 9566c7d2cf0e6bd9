"""The matrix of runs: what experiments ask for, what of it is stored, and how to get the rest."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.objects import swept
from glocal_exp.report.style import method_order
from glocal_exp.report.tables.grouped import ABSENT, Found
from glocal_exp.store import StoredRun, find_runs

COUNTED = ("complete", "stale")  # came to an end; whether by this source or an older one


def matrix(context: Context, without: list[str]) -> Found:
    """A row each experiment, method and T, of the size that the experiment asks for or stored.

    Args:
        without: experiments that are left out.
    """
    by_experiment: dict[str, list[StoredRun]] = defaultdict(list)
    for run in find_runs(context.runs):
        if run.status in COUNTED:
            by_experiment[run.experiment].append(run)
    rows = [
        row
        for file in sorted(context.configs.glob("experiment/*.yaml"))
        if file.stem not in without
        for row in _rows(file, by_experiment[file.stem])
    ]
    if not any(row["stored"] for row in rows):
        raise MissingRuns(*(str(row["experiment"]) for row in rows[:1]))
    counts = {name: sum(row[name] for row in rows) for name in ("stored", "lacking")}
    return Found(pd.DataFrame(rows), [], counts)


def _rows(file: Path, stored: list[StoredRun]) -> Iterator[dict[str, Any]]:
    # The size that an experiment asks for is its own, else the paper's.
    sizes = file.parents[1] / "preset" / "full.yaml", file
    steps: int = OmegaConf.merge(*map(OmegaConf.load, sizes)).steps
    sweep = {key: str(v).split(",") for key, v in swept(file).items()}
    methods, seeds = sweep.pop("method", ["none"]), list(map(int, sweep.pop("seed", ["0"])))
    settings = len(list(product(*sweep.values())))
    groups: dict[str, dict[int, list[StoredRun]]] = {name: {steps: []} for name in methods}
    for run in stored:
        lengths = groups.setdefault(run.method, {})
        lengths.setdefault(int(run.column("steps")), []).append(run)
    for method in method_order(groups):
        for length, runs in sorted(groups[method].items()):
            found = sorted({run.seed for run in runs})
            wanted = length == steps and method in methods
            lacking = sorted(set(seeds) - set(found)) if settings == 1 else seeds
            number = max(0, settings * len(seeds) - len(runs)) if wanted else 0
            command = f"python scripts/reproduce.py {file.stem} method={method}"
            names = ", ".join(map(str, lacking)) + (f" of {settings} settings" * (settings > 1))
            yield {
                "experiment": file.stem,
                "method": method,
                "steps": length,
                "stored": len(runs),
                "seeds": ", ".join(map(str, found)) or ABSENT,
                "lacking": number,
                "lacking_seeds": names if number else ABSENT,
                "command": command if number else None,
            }
