"""The text beside a figure: what was run on what, at which size, from which commit."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import network
from glocal_exp.report.paper_size import compared
from glocal_exp.report.selection import Run, Selection


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
        _common(selection.runs, _network),
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
    sentences = ["; ".join(parts) + ".", compared(selection, context, ignore), *selection.notes]
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


def _network(run: Run) -> str:
    return network(run.stored.column("model"), run.stored.value("model"))


def _title(run: Run) -> str:
    """What the data are called: their notice where they are not the original."""
    names = (run.stored.column(name) for name in ("notice", "title", "dataset"))
    return str(next((name for name in names if name), "unknown data set"))


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


def join(
    title: str,
    reading: str,
    selections: Sequence[Selection] | Mapping[str, Selection],
    context: Context,
    ignore: Collection[str] = (),
) -> str:
    """The whole caption: what is shown, how to read it, then a paragraph an experiment.

    Paragraphs begin with the labels, if the selections have some.
    """
    if isinstance(selections, Mapping):
        paragraphs = [
            f"{label} = {describe(one, context, ignore)}" for label, one in selections.items()
        ]
    else:
        paragraphs = [describe(one, context, ignore) for one in selections]
    return "\n\n".join([title, reading, *paragraphs]) + "\n"
