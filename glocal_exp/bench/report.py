"""A benchmark's result as tables."""

from collections.abc import Iterable, Mapping
from typing import Any


def document(result: Mapping[str, Any]) -> str:
    """Markdown: targets, every way to do every piece of work, and what it was measured on."""
    lines = [f"# {result['title']}", ""]
    if result["targets"]:
        lines += _targets(result)
    lines += _times(result["comparisons"])
    lines += ["", *_circumstances(result)]
    return "\n".join(lines) + "\n"


def _targets(result: Mapping[str, Any]) -> list[str]:
    lines = ["| ratio | median (range) | target | | of, over |", "| --- | --- | --- | --- | --- |"]
    for target in result["targets"]:
        ratio, most = target["ratio"], target["most"]
        cells = [
            target["name"],
            _range(ratio) if ratio else "not measured",
            "-" if most is None else f"{most:g}",
            _verdict(target, result["doubtful"]),
            f"{target['ours']}; {target['other']}" if ratio else "-",
        ]
        lines.append(_row(cells))
    return [*lines, ""]


def _verdict(target: Mapping[str, Any], doubtful: Iterable[str]) -> str:
    if target["ratio"] is None or target["most"] is None:
        return "-"
    if doubtful:
        return "doubtful"
    return "met" if target["met"] else "missed"


def _times(comparisons: Iterable[Mapping[str, Any]]) -> list[str]:
    comparisons = list(comparisons)
    ways = [way for comparison in comparisons for way in comparison["candidates"]]
    counted = any("of_peak" in way for way in ways)
    facts = sorted({name for way in ways for name in way["facts"]})
    header = ["work", "way", "ms, median (range)", *(["GFLOP/s", "of peak"] if counted else [])]
    header += facts
    lines = [_row(header), _row(["---"] * len(header))]
    for comparison in comparisons:
        for index, way in enumerate(comparison["candidates"]):
            cells = [
                f"{comparison['name']} (per {comparison['unit']})" if index == 0 else "",
                f"**{way['name']}**" if way["ours"] else way["name"],
                _range({name: 1e3 * value for name, value in way["summary"].items()}),
            ]
            if counted:
                cells += _speed(comparison["flops"], way)
            cells += [f"{way['facts'][n]:.3g}" if n in way["facts"] else "-" for n in facts]
            lines.append(_row(cells))
    return lines


def _speed(flops: int | None, way: Mapping[str, Any]) -> list[str]:
    if flops is None:
        return ["-", "-"]
    return [f"{flops / way['summary']['median'] / 1e9:.0f}", f"{100 * way['of_peak']:.0f} %"]


def _circumstances(result: Mapping[str, Any]) -> list[str]:
    machine, others = result["machine"], result["others"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    busy = "" if others is None else f", others took {100 * others:.0f} % of the cores meanwhile"
    lines = [
        f"Medians of {result['rounds']} rounds in which all candidates take turns ({result['time']}"
        "); ratios are taken round by round, to the cheapest way of each side; bold is ours.",
        *result["notes"],
        f"{machine['processor']}, {machine['cores']} used; peak of matrix products "
        f"{result['peak_flops'] / 1e9:.0f} GFLOP/s; load a core {result['load_before']:.2f} before "
        f"the start{busy}; {packages}.",
        *(f"Not timed: {name} ({why})." for name, why in result["missing"].items()),
    ]
    if result["doubtful"]:
        lines.append(f"Warning: these times are doubtful: {'; '.join(result['doubtful'])}.")
    return [line for text in lines for line in (text, "")][:-1]


def _range(summary: Mapping[str, float]) -> str:
    median = summary["median"]
    digits = 2 if median >= 0.1 else 4
    low, middle, high = (f"{summary[n]:.{digits}f}" for n in ("min", "median", "max"))
    return f"{middle} ({low} to {high})"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
