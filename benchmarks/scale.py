"""What a sweep of thousands costs beside its training: `python -m benchmarks.scale`.

Run directories are copies of a stored one, each with a config, a seed and a seal of its own; the
jobs whose launching is timed have nothing to do.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from glocal_exp.app.cells import cells
from glocal_exp.app.compose import Job, jobs
from glocal_exp.app.launchers.launcher import Task
from glocal_exp.app.stop import Stop
from glocal_exp.app.sweep import launcher_of, run_all
from glocal_exp.places import RESULTS
from glocal_exp.report.comparison import compare
from glocal_exp.store import find_runs, load_runs
from glocal_exp.store.files import CONFIG, MANIFEST, METRICS
from glocal_exp.store.index import INDEX, write_index
from glocal_exp.store.seal import CHECKSUMS, checksums, sealed

SEEDS = 100  # of a variant
TOUCHED = 100  # runs that have been copied anew since they were listed
TEMPLATES = RESULTS / "runs" / "fig2_sgd"  # of which the shortest is copied


def main() -> None:
    """Print a table of times; all folders are temporary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="run directories (%(default)s)")
    parser.add_argument("--jobs", type=int, default=100, help="jobs of a sweep (%(default)s)")
    parser.add_argument("--launchers", nargs="*", default=["local", "processes"])
    options = parser.parse_args()
    print(describe()["processor"])
    with tempfile.TemporaryDirectory() as folder:
        listing(Path(folder) / "runs", options.runs)
    with tempfile.TemporaryDirectory() as folder:
        launching(options.launchers, Path(folder), options.jobs)


def listing(root: Path, number: int) -> None:
    """Time how long it takes to read back many runs: at first, with the index, and once stale."""
    with timed(f"make {number} run directories"):
        copies = list(made(root, number))
    with timed("load_runs, without an index"):
        records = len(load_runs(root, check_source=False))
    (root / INDEX).unlink(missing_ok=True)
    with timed("compare, without an index"):
        listed(root)
    with timed("compare"):
        listed(root)
    with timed(f"load_runs, {records} records"):
        load_runs(root, check_source=False)
    for path in copies[:TOUCHED]:
        os.utime(path / MANIFEST)
    with timed(f"compare, {TOUCHED} runs having changed"):
        listed(root)


def listed(root: Path) -> None:
    """What `glocal compare` does."""
    runs = find_runs(root)
    compare(runs).sheet()
    write_index(root, runs)


def made(root: Path, number: int) -> Iterator[Path]:
    """Copies of a run: variants of a learning rate, each of many seeds."""
    runs = TEMPLATES.absolute().glob("glocal-*/seed=0")
    template = min(runs, key=lambda run: (run / METRICS).stat().st_size)
    manifest, config = (
        json.loads((template / MANIFEST).read_text()),
        (template / CONFIG).read_text(),
    )
    for count in range(number):
        variant, seed = divmod(count, SEEDS)
        path = root / "many" / f"glocal-{variant:08x}" / f"seed={seed}"
        path.mkdir(parents=True)
        for name in set(manifest[CHECKSUMS]) - {CONFIG}:
            if (template / name).exists():  # weights may not be
                (path / name).symlink_to(template / name)
        text = re.sub(r"(?m)^seed: .*", f"seed: {seed}", config)
        rate = 0.01 + variant / 10_000
        text = re.sub(r"(?m)^(\s+learning_rate:) .*", rf"\1 {rate}", text, count=1)
        (path / CONFIG).write_text(text)
        own = {"experiment": "many", "variant": path.parent.name, "seed": seed}
        own |= {"config_hash": f"{variant:08x}"}
        sums = manifest[CHECKSUMS] | checksums([path / CONFIG], path)
        (path / MANIFEST).write_text(json.dumps(sealed(manifest | own | {CHECKSUMS: sums})))
        yield path


def launching(names: list[str], output: Path, number: int) -> None:
    """Time what a job costs that does nothing: to compose, to be looked for, to be started."""
    words = ["preset=smoke", "source=bundled", f"seed=range({number})", f"output_dir={output}"]
    with timed("compose the jobs", number):
        todo = jobs(words, sweep=True)
    list(cells(todo[:1], batched=True, others=()))  # reads the images
    with timed("see that none is stored", number):
        list(cells(todo, batched=True, others=()))
    for words in ("", "import glocal_exp.app.train"):
        with timed(f"start Python {words}"):
            subprocess.run([sys.executable, "-c", words], check=True)
    for name in names:
        (job,) = jobs([f"launcher={name}", f"output_dir={output}"], sweep=False)
        nothing = (Job(str(count), job.config, {}) for count in range(number))
        tasks = (Task(job.name, job, lambda job: None, "--version") for job in nothing)
        with timed(f"launcher={name}", number):
            run_all(tasks, launcher_of([job]), Stop())


@contextmanager
def timed(what: str, jobs: int | None = None) -> Iterator[None]:
    """Print how long it took, on the clock and of the processor; and so for each of some jobs."""
    start = np.array(os.times())
    yield
    *ran, took = np.array(os.times()) - start
    each = f"; a job: {1000 * took / jobs:.0f} ms, {1000 * sum(ran) / jobs:.0f} ms" if jobs else ""
    print(f"{what}: {took:.2f} s, {sum(ran):.2f} s of the processor{each}", flush=True)


if __name__ == "__main__":
    main()
