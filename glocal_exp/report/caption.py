"""The text beside a figure: what was run on what, at which size, from which commit."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from glocal_exp.report.artifact import Context
from glocal_exp.report.selection import Run, Selection

SIZE = {"T": "steps", "tau": "interval", "batch": "batch_size"}


def describe(selection: Selection, context: Context) -> str:
    """One paragraph about the runs of one experiment; what differs between methods is listed."""
    parts = [
        f"{selection.experiment}: {_common(selection, _title)}",
        ", ".join(
            [
                f"T = {selection.steps:,} steps",
                f"tau = {_common(selection, lambda run: _number(run, 'interval'))}",
                f"batches of {_common(selection, lambda run: _number(run, 'batch_size'))}",
            ]
        ),
        f"{_images(selection, 'train')} training, {_images(selection, 'validation')} validation "
        f"and {_images(selection, 'test')} test images",
        f"{_seeds(selection)}",
        f"on {_common(selection, _device)}",
        f"commit {_common(selection, _commit)}",
    ]
    sentences = ["; ".join(parts) + ".", _size(selection, context), *selection.notes]
    notices = sorted(
        {str(run.data.get("notice")) for run in selection.runs if run.data.get("notice")}
    )
    return " ".join([*sentences, *(notice.rstrip(".") + "." for notice in notices)])


def _common(selection: Selection, get: Callable[[Run], str]) -> str:
    """The commonest value, then the methods that have another one."""
    values = {run.method: Counter[str]() for run in selection.runs}
    for run in selection.runs:
        values[run.method][get(run)] += 1
    commonest = sum(values.values(), Counter()).most_common(1)[0][0]
    others = [
        f"{method}: {' and '.join(sorted(counts))}"
        for method, counts in values.items()
        if set(counts) != {commonest}
    ]
    return f"{commonest} ({'; '.join(others)})" if others else commonest


def _title(run: Run) -> str:
    return str(run.stored.column("title") or run.stored.column("dataset") or "unknown data set")


def _number(run: Run, key: str) -> str:
    value = run.stored.column(key)
    return f"{value:,}" if isinstance(value, int) else "unknown"


def _images(selection: Selection, split: str) -> str:
    def get(run: Run) -> str:
        count = run.images(split)
        return f"{count:,}" if count is not None else "an unknown number of"

    return _common(selection, get)


def _seeds(selection: Selection) -> str:
    listed = ", ".join(str(seed) for seed in selection.seeds)
    return f"1 seed ({listed})" if len(selection.seeds) == 1 else (
        f"{len(selection.seeds)} seeds ({listed})"
    )  # fmt: skip


def _device(run: Run) -> str:
    device = run.stored.manifest.get("device")
    if not isinstance(device, dict):
        return str(device or "an unknown device")
    name = str(device.get("name") or device.get("platform") or "an unknown device")
    count = device.get("count") or 1
    return name if count == 1 else f"{count} x {name}"


def _commit(run: Run) -> str:
    git = run.stored.manifest.get("git") or {}
    if not git.get("commit"):
        return "unknown"
    return str(git["commit"])[:10] + (" with uncommitted changes" if git.get("dirty") else "")


def _size(selection: Selection, context: Context) -> str:
    """Whether the runs have the paper's size, and if not, in what they differ."""
    differences = []
    for symbol, key in SIZE.items():
        found = {_value(run, key, selection.steps) for run in selection.runs}
        printed = context.printed("section4", key)
        if printed is not None and found != {printed}:
            listed = " and ".join(sorted(f"{value:,}" for value in found if value is not None))
            differences.append(f"{symbol} = {listed or 'unknown'} (paper: {printed:,.0f})")
    share = context.printed("section4", "validation_share")
    for run in selection.runs:
        train, held = run.images("train"), run.images("validation")
        if share and train and held and abs(held / (train + held) - share) > 0.005:
            differences.append(
                f"{held:,} validation images (paper: {share:.0%} of the training data)"
            )
            break
    seeds = context.printed("section4", "seeds")
    if seeds is not None and len(selection.seeds) < seeds:
        differences.append(f"{len(selection.seeds)} of {seeds:.0f} seeds")
    if not differences:
        return "These runs have the paper's full size."
    return f"Not the paper's full size: {', '.join(differences)}."


def _value(run: Run, key: str, steps: int) -> Any:
    return steps if key == "steps" else run.stored.column(key)


def join(title: str, reading: str, selections: Sequence[Selection], context: Context) -> str:
    """The whole caption: what is shown, how to read it, then a paragraph an experiment."""
    return "\n\n".join([title, reading, *(describe(one, context) for one in selections)]) + "\n"
