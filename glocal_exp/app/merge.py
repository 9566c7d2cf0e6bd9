"""`glocal merge FOLDER ... [--into FOLDER]`: runs and studies of another machine."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from glocal_exp.app.main import entry_point
from glocal_exp.app.say import JOB_FAILED, say, tell
from glocal_exp.app.stop import Stop
from glocal_exp.errors import Parser, UserError
from glocal_exp.places import OUTPUTS
from glocal_exp.store import RunDirectory, files
from glocal_exp.store.load import run_directories
from glocal_exp.store.seal import damage, intact_manifest
from glocal_exp.store.status import stored_status
from glocal_exp.store.studies import study_directories

ABOUT = """\
Copy complete runs and studies from output folders of other machines, however they came here (a
mounted disk, rsync, an archive). Each copy is verified by its checksums before it counts; what is
complete here already stays, and what is not complete there is left out. The sweep's own command
then does what is still missing.

example
  rsync -a other:project/outputs/ arrived/
  glocal merge arrived
"""


def run(arguments: Sequence[str], stop: Stop) -> int:
    """Copy what can be; 1 if some runs were left out."""
    parser = Parser("glocal merge", description=ABOUT)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--into", type=Path, default=OUTPUTS, help="output folder (%(default)s)")
    options = parser.parse_args(list(arguments))
    counts: Counter[str] = Counter()
    for folder in options.folders:
        found = [(path, "runs") for path in run_directories(folder / "runs")]
        found += [(path, "studies") for path in study_directories(folder / "studies")]
        if not found:
            raise UserError(f"{folder} holds no run; give the folder that has the folder runs.")
        for path, kind in found:
            try:
                brought = bring(path, options.into / kind)
                counts["copied" if brought else "there already"] += 1
            except UserError as error:
                tell(error)
                counts["left out"] += 1
    say(", ".join(f"{count} {what}" for what, count in counts.items()))
    return JOB_FAILED if counts["left out"] else 0


def bring(run: Path, runs: Path) -> bool:
    """Copy a complete run, or study, to its place; False if it is complete there already.

    Args:
        run: `.../<experiment>/<variant>/seed=<k>`.
        runs: the folder that has those of the same names.

    Raises:
        UserError: it is not complete, or the copy is not what was written; a BusyError when
            another process is at that place. Nothing is changed then.
    """
    place = runs.joinpath(*run.parts[-3:])
    if (state := stored_status(run)) != "complete":
        raise UserError(f"{run} is {state}; only complete runs are copied.")
    if stored_status(place) == "complete":
        return False
    if (place / files.UNITS).exists():
        raise UserError(f"{place} has units of its own; go on with it, or move it away.")
    files.make_directory(runs)
    with tempfile.TemporaryDirectory(dir=runs, prefix=".") as folder:
        copy = Path(folder) / run.name
        try:
            shutil.copytree(run, copy, ignore=shutil.ignore_patterns(files.LOCK))
        except (OSError, shutil.Error) as error:
            raise UserError(f"{run} cannot be copied: {error}; check disk and network.") from error
        if broken := damage(copy, intact_manifest(copy)):
            raise UserError(f"{run} did not arrive as it was written: {broken}; copy it again.")
        with RunDirectory(place) as directory:
            directory.clear(keep=stored_status(place) == "damaged")
            # The manifest goes first: without it what is there would be a stranger's.
            for entry in sorted(copy.iterdir(), key=lambda entry: entry.name != files.MANIFEST):
                entry.rename(place / entry.name)
    return True


main = entry_point(run)
