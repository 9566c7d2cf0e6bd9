"""`glocal merge FOLDER ... [--into FOLDER]`: runs that were made on another machine."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from glocal_exp.app.main import entry_point
from glocal_exp.app.say import JOB_FAILED, say, tell
from glocal_exp.app.stop import Stop
from glocal_exp.errors import Parser, UserError
from glocal_exp.places import OUTPUTS
from glocal_exp.store.copies import bring
from glocal_exp.store.load import run_directories

ABOUT = """\
Copy complete runs from output folders of other machines, however they came here (a mounted disk,
rsync, an archive). Each copy is verified by its checksums before it counts; what is complete here
already stays, and what is not complete there is left out. The sweep's own command then does what is
still missing.

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
        found = run_directories(folder / "runs")
        if not found:
            raise UserError(f"{folder} holds no run; give the folder that has the folder runs.")
        for path in found:
            try:
                brought = bring(path, options.into / "runs")
                counts["copied" if brought else "there already"] += 1
            except UserError as error:
                tell(error)
                counts["left out"] += 1
    say(", ".join(f"{count} {what}" for what, count in counts.items()))
    return JOB_FAILED if counts["left out"] else 0


main = entry_point(run)
