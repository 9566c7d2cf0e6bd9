"""The sweeps of the paper's experiments: `glocal reproduce ID ... [KEY=VALUE ...]`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from glocal_exp.app.choices import choices, described, read
from glocal_exp.app.main import entry_point, run
from glocal_exp.app.rerun import text_of
from glocal_exp.app.stop import Stop
from glocal_exp.errors import UserError
from glocal_exp.places import OUTPUTS

TEXT = """\
Run experiments of the paper: all methods and seeds, one after another.

usage: glocal reproduce ID [ID ...] [KEY=VALUE ...]

Settings win over the experiment's own (steps=2000, method=local,glocal, seed=0). Runs go to
{output}/runs unless output_dir says otherwise; figures and tables draw them. The same command
again does only what is missing, failed or stale. `glocal train --help` explains settings.

experiments
"""


def reproduce(arguments: Sequence[str], stop: Stop, output: Path = OUTPUTS) -> int:
    """Run the sweep of each experiment named into `output`; the highest of their exit codes."""
    if {"-h", "--help"} & set(arguments):
        print(TEXT.format(output=output) + described("experiment", 28))
        return 0
    for word in arguments:
        if word.startswith("-"):
            raise UserError(f"{word} is not known here; --help shows what there is.")
    settings = [word for word in arguments if "=" in word or word.startswith("~")]
    names = [word for word in arguments if word not in settings]
    known = choices("experiment")
    wrong = [f"There is no experiment {name}" for name in names if name not in known]
    if wrong or not names:
        raise UserError(f"{[*wrong, 'No experiment is named'][0]}; choose from {', '.join(known)}.")
    own = {"output_dir": text_of(str(output))}
    return max(run(sweep(name, settings, own), stop) for name in names)


def sweep(name: str, settings: Sequence[str], own: Mapping[str, str]) -> list[str]:
    """An experiment's command line of `glocal train`; `settings` win over `own` ones."""
    named = {setting.split("=")[0].lstrip("+") for setting in settings}
    # `seeds` trains in one program what `seed` would sweep over.
    named |= {"seed"} if "seeds" in named else set()
    kept = [f"{k}={value}" for k, value in {**own, **swept(name)}.items() if k not in named]
    return ["-m", f"experiment={name}", *kept, *settings]


def swept(name: str) -> dict[str, str]:
    """What its file sweeps over by key, and those that it begins with."""
    content = read(f"experiment/{name}")
    others = [entry for entry in content.get("defaults") or () if isinstance(entry, str)]
    sweeps = [swept(other) for other in others if other != "_self_"]
    return {key: v for each in sweeps for key, v in each.items()} | (content.get("sweep") or {})


main = entry_point(reproduce)
