"""A benchmark's result as tables."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def document(result: Mapping[str, Any]) -> str:
    """Markdown: targets, every way to do every piece of work, and what it was measured on."""
    lines = [f"# {result['title']}", ""]
    if result["targets"]:
        header = ["ratio", "median (range)", "target", "", "of, over"]
        lines += [*_table(header, _targets(result)), ""]
    ways = [way for c in result["comparisons"] for way in c["candidates"]]
    facts = sorted({name for way in ways for name in way["facts"]})
    counted = ["GFLOP/s", "of peak"] if any("of_peak" in way for way in ways) else []
    header = ["work", "way", "ms, median (range)", *counted, *facts]
    lines += _table(header, _times(result["comparisons"], len(counted), facts))
    return "\n".join(lines) + "\n\n" + "\n\n".join(_circumstances(result)) + "\n"


def _targets(result: Mapping[str, Any]) -> Iterator[list[str]]:
    for target in result["targets"]:
        ratio, most, verdict = target["ratio"], target["most"], "-"
        if ratio and most is not None:
            verdict = "doubtful" if result["doubtful"] else "met" if target["met"] else "missed"
        measured = _range(ratio) if ratio else "not measured"
        sides = f"{target['ours']}; {target['other']}" if ratio else "-"
        yield [target["name"], measured, "-" if most is None else f"{most:g}", verdict, sides]


def _times(
    comparisons: Iterable[Mapping[str, Any]], counted: int, facts: Iterable[str]
) -> Iterator[list[str]]:
    for comparison in comparisons:
        work, flops = f"{comparison['name']} (per {comparison['unit']})", comparison["flops"]
        for way in comparison["candidates"]:
            name, speed = f"**{way['name']}**" if way["ours"] else way["name"], ["-", "-"]
            if flops is not None:
                rate = flops / way["summary"]["median"] / 1e9
                speed = [f"{rate:.0f}", f"{100 * way['of_peak']:.0f} %"]
            known = [f"{way['facts'][n]:.3g}" if n in way["facts"] else "-" for n in facts]
            yield [work, name, _range(way["summary"], 1e3), *speed[:counted], *known]
            work = ""


def _circumstances(result: Mapping[str, Any]) -> Iterator[str]:
    machine, others = result["machine"], result["others"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    busy = "" if others is None else f", others took {100 * others:.0f} % of the cores meanwhile"
    yield (
        f"Medians of {result['rounds']} rounds in which all candidates take turns "
        f"({result['time']}); ratios are taken round by round, to the cheapest way of each side; "
        "bold is ours."
    )
    yield from result["notes"]
    yield (
        f"{machine['processor']}, {machine['cores']} used; peak of matrix products "
        f"{result['peak_flops'] / 1e9:.0f} GFLOP/s; load a core {result['load_before']:.2f} before "
        f"the start{busy}; {packages}."
    )
    yield from (f"Not timed: {name} ({why})." for name, why in result["missing"].items())
    if result["doubtful"]:
        yield f"Warning: these times are doubtful: {'; '.join(result['doubtful'])}."


def _range(summary: Mapping[str, float], scale: float = 1.0) -> str:
    low, middle, high = (scale * summary[name] for name in ("min", "median", "max"))
    digits = 2 if middle >= 0.1 else 4
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _table(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
