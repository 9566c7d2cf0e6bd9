"""The text beside a figure: what was run on what, at which size, from which commit."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from glocal_exp.places import ROOT
from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import network
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
MANY = "an unknown number of"


def paragraphs(
    selections: Iterable[Selection] | Mapping[str, Selection], context: Context
) -> list[str]:
    """One an experiment, as `describe` has it, beginning with the labels if there are some."""
    if isinstance(selections, Mapping):
        return [f"{label} = {describe(one, context)}" for label, one in selections.items()]
    return [describe(selection, context) for selection in selections]


def describe(selection: Selection, context: Context, ignore: Collection[str] = ()) -> str:
    """One paragraph about the runs of one experiment; what differs between methods is listed.

    Args:
        ignore: what may differ from the paper's size unsaid: `steps`, `seeds`.
    """
    runs, seeds = selection.runs, selection.seeds
    learning = [run for run in runs if run.method != "none"] or runs
    windows = [run for run in runs if _window(run)]

    def size(name: str) -> str:
        return _common(runs, lambda run: _number(run.stored.column(name)))

    def images(split: str) -> str:
        return _common(runs, lambda run: _number(run.images(split), MANY))

    title, model = _common(runs, _title), _common(runs, _model)
    parts = [
        f"{selection.experiment}: {title}",
        model if model != title else "",  # of an own problem they are one
        f"T = {selection.steps:,} steps, tau = {size('interval')}, batches of {size('batch_size')}",
        _common(windows, _window) if windows else "",
        _common(learning, _meta),
        f"{images('train')} training, {_common(learning, _validation)} validation and "
        f"{images('test')} test images"
        if any(run.images("train") for run in runs)
        else "",
        f"{len(seeds)} seed{'s' * (len(seeds) != 1)} ({', '.join(map(str, seeds))})",
        f"on {_common(runs, _device)}",
        f"commit {_common(runs, _commit)}",
    ]
    # Not of `run(..., store=...)` in Python, which has chosen no device and is called again.
    chosen = [(run, run.stored.manifest.get("choices") or {"device"}) for run in runs]
    variants = dict.fromkeys(run.stored.variant for run, choices in chosen if "device" in choices)
    command = f"glocal train from={_place(runs[0])}/VARIANT/seed=K"
    again = f"Any of them again: `{command}` ({', '.join(variants)})." if variants else ""
    compared = _compared(selection, context, ignore)
    sentences = ["; ".join(filter(None, parts)) + ".", compared, *selection.notes, again]
    return " ".join(filter(None, sentences))


def copied(selections: Iterable[Selection]) -> str | None:
    """For the picture itself: what the data are called if they are not the original."""
    notices = (run.data.get("notice") for one in selections for run in one.runs)
    return next(filter(None, notices), None)


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
    """The commonest value, or values that a method's runs have, then methods that have others."""
    values: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        values[run.method].add(get(run))
    words = {method: " and ".join(sorted(found)) for method, found in values.items()}
    commonest = Counter(words[run.method] for run in runs).most_common(1)[0][0]
    others = [f"{method}: {word}" for method, word in words.items() if word != commonest]
    return f"{commonest} ({'; '.join(others)})" if others else commonest


def _number(value: object, unknown: str = "unknown") -> str:
    return f"{value:,}" if isinstance(value, int) else unknown


def _place(run: Run) -> Path:
    """Of its experiment: within a checkout from its root on."""
    place = run.stored.path.parents[1]
    whole = place.resolve()
    return whole.relative_to(ROOT) if whole.is_relative_to(ROOT) else place


def _title(run: Run) -> str:
    """What the data are called: their notice where they are not the original."""
    names = (run.stored.column(name) for name in ("notice", "title", "dataset"))
    return str(next((name for name in names if name), "unknown data set"))


def _model(run: Run) -> str:
    return network(run.stored.column("model"), run.stored.value("model"))


def _validation(run: Run) -> str:
    held_out, used = run.images("validation"), run.gradient_images
    of_them = "" if used == held_out else f" [{_number(used)} of them in a hypergradient]"
    return _number(held_out, MANY) + of_them


def _window(run: Run) -> str:
    """Of methods that decompose one."""
    window, delays, stride = (
        run.stored.value(f"method.{name}") for name in ("window", "delays", "stride")
    )
    if window is None or delays is None:
        return ""
    return f"sigma = {window}, m = {delays}" + (
        f", h_t every {stride} steps" if stride != 1 else ""
    )


def _meta(run: Run) -> str:
    name = (run.stored.manifest.get("choices") or {}).get("meta_optimizer")
    rate = run.stored.value("meta_optimizer.learning_rate")
    return "" if rate is None else f"meta optimizer {name or 'unknown'}, rate {rate:g}"


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


def _compared(selection: Selection, context: Context, ignore: Collection[str] = ()) -> str:
    """Whether the runs have the paper's size, and if not, in what they differ; as a sentence.

    Args:
        ignore: what does not matter: settings, or `seeds`.
    """
    if context.paper.empty:
        return ""
    runs, section = selection.runs, partial(context.printed, "section4")
    sizes: list[tuple[str, str, Sequence[Run], float | None]] = [
        (symbol, key, runs, section(key.rpartition(".")[2]))
        for symbol, key in SIZE.items()
        if key not in ignore
    ]
    for key, model, value in context.paper[["quantity", "setting", "value"]].to_numpy():
        if key.startswith("model."):
            of = [run for run in runs if run.stored.column("model") == model]
            sizes.append((key.removeprefix("model."), key, of, value))
    differences = []
    for symbol, key, of, printed in sizes:
        found = {run.stored.column(key) for run in of}
        if "." in key:  # what only some methods have
            found -= {None}
        if printed is not None and found - {printed}:
            listed = " and ".join(sorted(f"{value:,}" for value in found if value is not None))
            differences.append(f"{symbol} = {listed or 'unknown'} (paper: {printed:,.0f})")
    validation = (_other_validation(run, context) for run in runs)
    differences += [found for found in validation if found][:1]
    seeds = section("seeds")
    if seeds is not None and len(selection.seeds) < seeds and "seeds" not in ignore:
        differences.append(f"{len(selection.seeds)} of {seeds:.0f} seeds")
    if any(run.data.get("original") is False for run in runs):
        differences.append("not the original data")
    if not differences:
        return "These runs have the paper's full size."
    return f"Not the paper's full size: {', '.join(differences)}."


def _other_validation(run: Run, context: Context) -> str | None:
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
