"""The demonstration: methods on embedded images, 2,000 penalties, a figure and what it says."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from textwrap import fill

from glocal_exp.app.choices import read, root_of
from glocal_exp.app.main import entry_point, run
from glocal_exp.app.plans import sweep, sweeps
from glocal_exp.app.rerun import text_of
from glocal_exp.app.say import say
from glocal_exp.app.stop import Stop
from glocal_exp.errors import UserError
from glocal_exp.places import OUTPUTS, ROOT

OUTPUT = OUTPUTS / "demo"
IMAGES, PENALTIES, FIGURE = "demo", "demo_penalties", "demo"
OF_BOTH = ("seed", "seeds", "output_dir", "tracker", "device")
OF_PENALTIES, OF_SEARCH = ("problem",), ("study",)  # what is not named here is of the images
WIDTH = 100  # letters


def demo(settings: Sequence[str], stop: Stop) -> int:
    """Train, search and draw what is missing of it.

    Settings are as of `glocal train`: those below `problem` go to the penalties, those below
    `study` to the search, seeds and places to all, the rest to the images.
    """
    if {"-h", "--help"} & set(settings):
        print(f"usage: glocal demo [KEY=VALUE ...]\n\n{__doc__}")
        return 0
    for setting in settings:
        if setting.startswith("-") or not ("=" in setting or setting.startswith("~")):
            raise UserError(f"{setting!r} is no setting; write KEY=VALUE, or nothing.")
    own = ["tracker=none", f"output_dir={text_of(str(OUTPUT))}"]
    both, penalties = _of(settings, OF_BOTH), _of(settings, OF_BOTH + OF_PENALTIES)
    images = [word for word in settings if word not in _of(settings, OF_PENALTIES + OF_SEARCH)]
    for experiment, given in ((IMAGES, images), (PENALTIES, penalties)):
        if code := run(["-m", *sweep([*own, *sweeps(experiment)[0]], given)], stop):
            return code
    from glocal_exp.app.compose import jobs

    (job, *_) = jobs(sweep(own, [w for w in both if w.startswith("output_dir=")]), sweep=False)
    output = Path(job.config.output_dir)
    if find_spec("optuna"):
        seeds = read(f"experiment/{PENALTIES}")["sweep"]["seeds"]
        searched = [*own, f"seeds={seeds}", f"experiment={PENALTIES}"]
        given = [*penalties, *_of(settings, OF_SEARCH)]
        if code := _search(output, sweep(searched, given), stop):
            return code
    else:
        say("optuna is not installed, so that the figure has no TPE: make setup EXTRAS=search")
    from glocal_exp.report.build import main as build

    where = ["--runs", str(output / "runs"), "--out", str(output)]
    code = build("figure", ROOT, [FIGURE, *where])
    if code == 0:
        found = (output / f"{FIGURE}.txt").read_text().partition("\n\n")[0]
        here = os.path.relpath(Path(sys.executable).with_name("glocal"))
        command = "glocal" if which("glocal") else here
        print(f"\n{fill(found, WIDTH)}\n")
        print(f"Figure: {output / FIGURE}.png (.pdf; caption: .txt)")
        print(f"Runs:   {output / 'runs'}")
        print(f"Next:   {command} train preset=quick method=glocal")
    return code


def _of(settings: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Those below one of these keys."""
    return [word for word in settings if root_of(word) in keys]


def _search(output: Path, settings: Sequence[str], stop: Stop) -> int:
    """The search, as long as hypergradients took."""
    from glocal_exp.app.study import run as study
    from glocal_exp.report.figures.demo import seconds
    from glocal_exp.report.selection import select

    stored = select(output / "runs", PENALTIES)
    time = [f"study.seconds={seconds(stored)}"] if stored else []
    return study(["-m", "study=penalties", "method=local", *time, *settings], stop)


main = entry_point(demo)
