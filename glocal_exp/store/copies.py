"""Run directories from elsewhere: copied, verified, and only then among the others."""

import shutil
import tempfile
from pathlib import Path

from glocal_exp.errors import UserError
from glocal_exp.store import files
from glocal_exp.store.directory import RunDirectory
from glocal_exp.store.seal import damage, intact_manifest
from glocal_exp.store.status import stored_status


def bring(run: Path, runs: Path) -> bool:
    """Copy a complete run to its place among others; False if it is complete there already.

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
