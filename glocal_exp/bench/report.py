"""A benchmark's result as a table."""

import statistics
from collections.abc import Mapping
from typing import Any


def table(result: Mapping[str, Any]) -> str:
    """Markdown: a row for each part, every way in PyTorch, and what it was measured on."""
    lines = [
        "| part | ours (ms) | PyTorch, fastest (ms) | other ways (ms) | ratio, median (range) "
        "| target | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(part, result["loaded"]) for part in result["parts"]]
    machine = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines += [
        "",
        f"Medians of {result['rounds']} rounds in which all candidates take turns; ratios are "
        "taken round by round, to PyTorch's fastest. Batches of 128 images; the time of one step "
        "or gradient.",
        "",
        f"{machine['processor']}, {machine['cores']} used; load a core {result['load_before']:.2f} "
        f"before the start, {result['load_after']:.2f} at the end; {packages}.",
    ]
    if result["loaded"]:
        lines += ["", "Warning: the machine was busy before the start; these times are doubtful."]
    return "\n".join(lines) + "\n"


def _row(part: Mapping[str, Any], doubtful: bool) -> str:
    times = {name: statistics.median(values) for name, values in part["milliseconds"].items()}
    best, ratio = part["fastest_peer"], part["ratio"]
    others = [f"{t:.1f} ({name})" for name, t in times.items() if name not in ("ours", best)]
    cells = [
        part["part"],
        f"{times['ours']:.1f}",
        f"{times[best]:.1f} ({best})",
        ", ".join(others) or "-",
        f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})",
        f"{part['target']:.2f}",
        "doubtful" if doubtful else "met" if part["met"] else "missed",
    ]
    return f"| {' | '.join(cells)} |"
