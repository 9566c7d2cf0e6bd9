"""The text beside a figure: what was run on what, at which size, from which commit."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from glocal_exp.report.artifact import Context
from glocal_exp.report.selection import Run, Selection

SIZE = {
    "T": "steps",
    "tau": "interval",
    "batch": "batch_size",
    "sigma": "method.window",
    "m": "method.delays",
    "stride": "method.stride",
}
"""Symbol -> the setting; its name without the group is the quantity of `results/paper.csv`."""


def describe(selection: Selection, context: Context, ignore: Collection[str] = ()) -> str:
    """One paragraph about the runs of one experiment; what differs between methods is listed.

    Args:
        selection: its runs.
        context: holds the paper's size.
        ignore: what may differ from the paper's size unsaid: `steps`, `seeds`.
    """
    learning = [run for run in selection.runs if run.method != "none"] or selection.runs
    parts = [
        f"{selection.experiment}: {_common(selection.runs, _title)}",
        ", ".join(
            [
                f"T = {selection.steps:,} steps",
                f"tau = {_common(selection.runs, lambda run: _number(run, 'interval'))}",
                f"batches of {_common(selection.runs, lambda run: _number(run, 'batch_size'))}",
            ]
        ),
        f"{_images(selection, 'train')} training, {_common(learning, _validation)} validation "
        f"and {_images(selection, 'test')} test images",
        f"{_seeds(selection)}",
        f"on {_common(selection.runs, _device)}",
        f"commit {_common(selection.runs, _commit)}",
    ]
    sentences = ["; ".join(parts) + ".", _size(selection, context, ignore), *selection.notes]
    return " ".join(sentence for sentence in sentences if sentence)


def _common(runs: Sequence[Run], get: Callable[[Run], str]) -> str:
    """The commonest value, then the methods that have another one."""
    values = {run.method: Counter[str]() for run in runs}
    for run in runs:
        values[run.method][get(run)] += 1
    commonest = sum(values.values(), Counter()).most_common(1)[0][0]
    others = [
        f"{method}: {' and '.join(sorted(counts))}"
        for method, counts in values.items()
        if set(counts) != {commonest}
    ]
    return f"{commonest} ({'; '.join(others)})" if others else commonest


def _title(run: Run) -> str:
    """What the data are called: their notice where they are not the original."""
    names = (run.stored.column(name) for name in ("notice", "title", "dataset"))
    return str(next((name for name in names if name), "unknown data set"))


def marked(label: str, runs: Iterable[Run]) -> str:
    """A label with the mark of data that are not the original: `CIFAR-10 (JPEG copy), SGD`."""
    for run in runs:
        title, notice = str(run.data.get("title") or ""), str(run.data.get("notice") or "")
        found = re.match(r"(.+?)( \([^)]*\))", notice)
        if found and title.startswith(found[1]):
            name, mark = found.groups()
            return label.replace(name, name + mark, 1) if name in label else label + mark
    return label


def _number(run: Run, key: str) -> str:
    value = run.stored.column(key)
    return f"{value:,}" if isinstance(value, int) else "unknown"


def _images(selection: Selection, split: str) -> str:
    return _common(selection.runs, lambda run: _count(run.images(split)))


def _count(images: int | None) -> str:
    return f"{images:,}" if images is not None else "an unknown number of"


def _validation(run: Run) -> str:
    held_out, used = run.images("validation"), run.gradient_images
    if used == held_out:
        return _count(held_out)
    return f"{_count(held_out)} [{_count(used)} of them in a hypergradient]"


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
    if device.get("platform") == "cpu":
        name = str(run.stored.manifest.get("processor") or name)
    count = device.get("count") or 1
    name = name if count == 1 or device.get("platform") == "cpu" else f"{count} x {name}"
    return f"{name}, seeds side by side" if device.get("seeds") == "batched" else name


def _commit(run: Run) -> str:
    git = run.stored.manifest.get("git") or {}
    if not git.get("commit"):
        return "unknown"
    return str(git["commit"])[:10] + (" with uncommitted changes" if git.get("dirty") else "")


def _size(selection: Selection, context: Context, ignore: Collection[str]) -> str:
    """Whether the runs have the paper's size, and if not, in what they differ."""
    if context.paper.empty:
        return ""
    differences = []
    for symbol, key in SIZE.items():
        found = {_value(run, key, selection.steps) for run in selection.runs}
        if "." in key:  # what only some methods have
            found -= {None}
        printed = context.printed("section4", key.rpartition(".")[2])
        if printed is not None and found - {printed} and key not in ignore:
            differences.append(_difference(symbol, found, printed))
    differences += _network(selection, context)
    share = context.printed("section4", "validation_share")
    for run in selection.runs:
        train, held, used = run.images("train"), run.images("validation"), run.gradient_images
        if share and train and held and used and abs(used / (train + held) - share) > 0.005:
            differences.append(
                f"{used:,} validation images (paper: {share:.0%} of the training data)"
            )
            break
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


def _value(run: Run, key: str, steps: int) -> Any:
    return steps if key == "steps" else run.stored.column(key)


def join(
    title: str,
    reading: str,
    selections: Sequence[Selection],
    context: Context,
    ignore: Collection[str] = (),
) -> str:
    """The whole caption: what is shown, how to read it, then a paragraph an experiment."""
    paragraphs = [describe(one, context, ignore) for one in selections]
    return "\n\n".join([title, reading, *paragraphs]) + "\n"
