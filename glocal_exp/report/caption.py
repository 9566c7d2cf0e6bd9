"""The text beside a figure: what was run on what, at which size, from which commit."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import network
from glocal_exp.report.paper_size import compared
from glocal_exp.report.runs import Run
from glocal_exp.report.selection import Selection


def paragraphs(
    selections: Iterable[Selection] | Mapping[str, Selection],
    context: Context,
    ignore: Collection[str] = (),
) -> list[str]:
    """One an experiment, as `describe` has it, beginning with the labels if there are some."""
    if isinstance(selections, Mapping):
        return [f"{label} = {describe(s, context, ignore)}" for label, s in selections.items()]
    return [describe(selection, context, ignore) for selection in selections]


def describe(selection: Selection, context: Context, ignore: Collection[str] = ()) -> str:
    """One paragraph about the runs of one experiment; what differs between methods is listed.

    Args:
        ignore: what may differ from the paper's size unsaid: `steps`, `seeds`.
    """
    runs, seeds = selection.runs, selection.seeds
    learning = [run for run in runs if run.method != "none"] or runs
    interval = _common(runs, lambda run: _number(run.stored.column("interval")))
    batch = _common(runs, lambda run: _number(run.stored.column("batch_size")))
    train, test = (
        _common(runs, lambda run, split=split: _number(run.images(split), "an unknown number of"))
        for split in ("train", "test")
    )
    parts = [
        f"{selection.experiment}: {_common(runs, _title)}",
        _common(runs, lambda run: network(run.stored.column("model"), run.stored.value("model"))),
        f"T = {selection.steps:,} steps, tau = {interval}, batches of {batch}",
        f"{train} training, {_common(learning, _validation)} validation and {test} test images",
        f"{len(seeds)} seed{'s' * (len(seeds) != 1)} ({', '.join(map(str, seeds))})",
        f"on {_common(runs, _device)}",
        f"commit {_common(runs, _commit)}",
    ]
    sentences = ["; ".join(parts) + ".", compared(selection, context, ignore), *selection.notes]
    return " ".join(sentence for sentence in sentences if sentence)


def copied(runs: Iterable[Run]) -> str | None:
    """For the picture itself: what the data are called if they are not the original."""
    return next((notice for run in runs if (notice := str(run.data.get("notice") or ""))), None)


def marked(label: str, runs: Iterable[Run]) -> str:
    """A label with the mark of data that are not the original: `MNIST (a copy), SGD`."""
    for run in runs:
        title, notice = str(run.data.get("title") or ""), str(run.data.get("notice") or "")
        found = re.match(r"(.+?)( \([^)]*\))", notice)
        if found and title.startswith(found[1]):
            name, mark = found.groups()
            return label.replace(name, name + mark, 1) if name in label else label + mark
    return label


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


def _number(value: object, unknown: str = "unknown") -> str:
    return f"{value:,}" if isinstance(value, int) else unknown


def _title(run: Run) -> str:
    """What the data are called: their notice where they are not the original."""
    names = (run.stored.column(name) for name in ("notice", "title", "dataset"))
    return str(next((name for name in names if name), "unknown data set"))


def _validation(run: Run) -> str:
    held_out, used = run.images("validation"), run.gradient_images
    of_them = "" if used == held_out else f" [{_number(used)} of them in a hypergradient]"
    return _number(held_out, "an unknown number of") + of_them


def _device(run: Run) -> str:
    device = run.stored.manifest.get("device")
    if not isinstance(device, Mapping):
        return str(device or "an unknown device")
    name = str(device.get("name") or device.get("platform") or "an unknown device")
    if device.get("platform") == "cpu":
        name = str(run.stored.manifest.get("processor") or name)
    elif (count := device.get("count") or 1) != 1:
        name = f"{count} x {name}"
    return f"{name}, seeds side by side" if device.get("seeds") == "batched" else name


def _commit(run: Run) -> str:
    git = run.stored.manifest.get("git") or {}
    if not git.get("commit"):
        return "unknown"
    return str(git["commit"])[:10] + (" with uncommitted changes" if git.get("dirty") else "")
