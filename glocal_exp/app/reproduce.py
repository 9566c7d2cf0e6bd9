"""The sweeps of the paper's experiments: `python scripts/reproduce.py ID ... [KEY=VALUE ...]`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import yaml

from glocal_exp.app.main import guarded, run
from glocal_exp.app.rerun import text_of
from glocal_exp.app.stop import Stop
from glocal_exp.errors import UserError

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "configs" / "experiment"
RESULTS = ROOT / "results"  # where figures and tables look
TEXT = """\
Run experiments of the paper: all methods and seeds, one after another.

usage: python scripts/reproduce.py ID [ID ...] [KEY=VALUE ...]

Settings win over the experiment's own (steps=2000, method=local,glocal, seed=0). Runs go to
{results} unless output_dir says otherwise; `make figures tables` draws them. The same command
again does only what is missing, failed or stale. `scripts/train.py --help` explains settings.

experiments
{experiments}"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the experiments that the command line names; exits as `scripts/train.py` does."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(guarded(lambda stop: reproduce(given, stop)))


def reproduce(arguments: Sequence[str], stop: Stop) -> int:
    """Run the sweep of each experiment named; returns the highest of their exit codes.

    Raises:
        UserError: for an experiment that does not exist, or none.
    """
    if {"-h", "--help"} & set(arguments):
        print(_help())
        return 0
    flags = [word for word in arguments if word.startswith("-")]
    if flags:
        raise UserError(f"{flags[0]} is not known here; --help shows what there is.")
    settings = [word for word in arguments if "=" in word or word.startswith("~")]
    names = [word for word in arguments if word not in settings]
    known = _experiments()
    unknown = [f"There is no experiment {name}" for name in names if name not in known]
    if unknown or not names:
        wrong = next(iter(unknown), "No experiment is named")
        raise UserError(f"{wrong}; choose from {', '.join(known)}.")
    return max(run(_sweep(name, settings), stop) for name in names)


def _sweep(name: str, settings: Sequence[str]) -> list[str]:
    """The command line of `scripts/train.py`."""
    given = {setting.split("=")[0].lstrip("+") for setting in settings}
    # `seeds` trains in one program what `seed` would sweep over.
    given |= {"seed"} if "seeds" in given else set()
    own = {"output_dir": text_of(str(RESULTS))} | _read_sweep(name)
    kept = [f"{key}={value}" for key, value in own.items() if key not in given]
    return ["-m", f"experiment={name}", *kept, *settings]


def _experiments() -> list[str]:
    return sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))


def _help() -> str:
    lines = []
    for name in _experiments():
        comments = (EXPERIMENTS / f"{name}.yaml").read_text().splitlines()
        about = next(line[1:].strip() for line in comments if line[:3] not in ("# @", ""))
        lines.append(f"  {name:<28} {about}")
    return TEXT.format(results=RESULTS, experiments="\n".join(lines))


def _read_sweep(name: str) -> dict[str, str]:
    """What its file says, and those that it begins with."""
    content = yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text())
    others = [entry for entry in content.get("defaults") or () if isinstance(entry, str)]
    sweeps = [_read_sweep(other) for other in others if other != "_self_"]
    return {key: v for sweep in sweeps for key, v in sweep.items()} | (content.get("sweep") or {})
