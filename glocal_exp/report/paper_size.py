"""In what runs differ from the size that the paper's have."""

from collections.abc import Collection
from typing import Any

from glocal_exp.report.artifact import Context
from glocal_exp.report.runs import Run
from glocal_exp.report.selection import Selection

SIZE = {
    "T": "steps",
    "tau": "interval",
    "batch": "batch_size",
    "sigma": "method.window",
    "m": "method.delays",
    "stride": "method.stride",
}
"""Symbol -> the setting; its name without the group is the quantity of `results/paper.csv`."""


def compared(selection: Selection, context: Context, ignore: Collection[str] = ()) -> str:
    """Whether the runs have the paper's size, and if not, in what they differ; as a sentence.

    Args:
        ignore: what does not matter: settings, or `seeds`.
    """
    if context.paper.empty:
        return ""
    differences = []
    for symbol, key in SIZE.items():
        found = {run.stored.column(key) for run in selection.runs}
        if "." in key:  # what only some methods have
            found -= {None}
        printed = context.printed("section4", key.rpartition(".")[2])
        if printed is not None and found - {printed} and key not in ignore:
            differences.append(_difference(symbol, found, printed))
    differences += _network(selection, context)
    validation = (_validation(run, context) for run in selection.runs)
    differences += [found for found in validation if found][:1]
    seeds = context.printed("section4", "seeds")
    if seeds is not None and len(selection.seeds) < seeds and "seeds" not in ignore:
        differences.append(f"{len(selection.seeds)} of {seeds:.0f} seeds")
    if any(run.data.get("original") is False for run in selection.runs):
        differences.append("not the original data")
    if not differences:
        return "These runs have the paper's full size."
    return f"Not the paper's full size: {', '.join(differences)}."


def _difference(name: str, found: Collection[Any], printed: float) -> str:
    listed = " and ".join(sorted(f"{value:,}" for value in found if value is not None))
    return f"{name} = {listed or 'unknown'} (paper: {printed:,.0f})"


def _network(selection: Selection, context: Context) -> list[str]:
    """In which settings of a model, as the paper prints them, its networks differ from these."""
    differences = []
    for row in context.paper.to_dict("records"):
        name, key, printed = str(row["setting"]), str(row["quantity"]), float(row["value"])
        runs = [run for run in selection.runs if run.stored.column("model") == name]
        found = {run.stored.value(key) for run in runs}
        if key.startswith("model.") and found - {printed}:
            differences.append(_difference(key.removeprefix("model."), found, printed))
    return differences


def _validation(run: Run, context: Context) -> str | None:
    """In how many validation images a run differs: the paper has a count, or a share."""
    count = context.printed("section4", "validation_size", str(run.stored.column("dataset")))
    share = context.printed("section4", "validation_share")
    train, held, used = run.images("train"), run.images("validation"), run.gradient_images
    if used is None:
        return None
    if count is not None:
        same, printed = used == count, f"{count:,.0f}"
    elif share and train and held:
        same = abs(used / (train + held) - share) <= 0.005
        printed = f"{share:.0%} of the training data"
    else:
        return None
    return None if same else f"{used:,} validation images (paper: {printed})"
