"""What the parts of the plan in configs/plan, and experiments, consist of."""

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glocal_exp.app.choices import choices, read, root_of
from glocal_exp.app.say import say
from glocal_exp.errors import UserError
from glocal_exp.places import CONFIGS

if TYPE_CHECKING:
    from glocal_exp.app.compose import Job

SEEDS = {"seed", "seeds"}
OWN = {"output_dir", "data_dir", "device", "tracker", "launcher"}
"""Settings beside which the plan's studies are measured: others change what they are of."""


def sweeps(name: str) -> list[list[str]]:
    """What a part of the plan, or an experiment, consists of."""
    if name in choices("plan"):
        return _lines(name, "sweeps")
    from glocal_exp.report.objects import swept  # and with it matplotlib, which is slow

    values = swept(CONFIGS / "experiment" / f"{name}.yaml")
    return [[f"experiment={name}", *(f"{key}={value}" for key, value in values.items())]]


def studies(name: str) -> list[list[str]]:
    """The studies of a part of the plan; an experiment has none."""
    return _lines(name, "studies") if name in choices("plan") else []


def _lines(name: str, kind: str) -> list[list[str]]:
    plan = read(f"plan/{name}")
    return [shlex.split(f"{line} {plan['settings']}") for line in plan.get(kind, ())]


def sweep(words: Sequence[str], settings: Sequence[str]) -> list[str]:
    """The overrides of a sweep; `settings` win over its own words."""
    named = {setting.split("=")[0].lstrip("+") for setting in settings}
    if named & SEEDS:  # `seeds` trains in one program what `seed` would sweep over
        named |= SEEDS
    return [word for word in words if word.split("=")[0] not in named] + [*settings]


def composed(lines: Sequence[Sequence[str]], settings: Sequence[str]) -> "list[Job]":
    """The jobs of all lines with these settings, which need not be for every line."""
    from glocal_exp.app.compose import jobs

    made, refused = [], []
    for line in lines:
        try:
            made += jobs(sweep(line, settings), True)
        except UserError as error:
            refused.append(error)
    if refused and not (made and settings):
        raise refused[0]
    if refused:
        say(f"# left out, since a setting is not for them: {len(refused)} of {len(lines)} lines")
    return made


def unmeasured(
    lines: Sequence[Sequence[str]], settings: Sequence[str], minutes: float = math.inf
) -> "list[Job]":
    """The studies that are not stored, and how many are said.

    None beside settings of training, nor in limited time, which they do not keep.
    """
    from glocal_exp.app.compose import jobs
    from glocal_exp.app.study import is_measured

    if not lines:
        return []
    others = [f"{word} is none of their settings" for word in settings if root_of(word) not in OWN]
    others += ["they do not keep to a limit of time"] * (minutes < math.inf)
    if others:
        say(f"# studies are left out: {others[0]}")
        return []
    number, left, refused = 0, [], set[str]()
    for line in lines:
        made = jobs(sweep(line, settings), True)
        try:
            left += [job for job in made if not is_measured(job)]
            number += len(made)
        except UserError as error:  # of a package that is not installed
            refused.add(str(error))
    say(f"# {number - len(left)} of {number} studies are stored")
    for why in sorted(refused):
        say(f"# left out: {why}")
    return left
