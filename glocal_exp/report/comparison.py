"""Stored runs side by side: a row for each setting in which they differ, with all of its seeds."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report import style
from glocal_exp.report.formats import DAGGER
from glocal_exp.report.runs import Run
from glocal_exp.report.selection import Selection
from glocal_exp.report.settings import differing, label, settings, text
from glocal_exp.report.tables.grouped import ABSENT, Column, Sheet
from glocal_exp.store import StoredRun
from glocal_exp.store.index import LATEST

HEADLINES = ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "train_loss")
"""The first of them that was measured is listed where no other is asked for."""


@dataclass(frozen=True)
class Entry:
    """A run with its settings and, for every column that was measured, how it ended."""

    stored: StoredRun
    settings: Mapping[str, Any]
    final: Mapping[str, float]  # the last value
    latest: Mapping[str, float]  # the mean of the last `LATEST` values
    facts: Mapping[str, Any]  # seed, status, steps done and seconds

    @property
    def values(self) -> dict[str, Any]:
        """All that a run may be chosen by."""
        return {**self.final, **self.facts, **self.settings}


@dataclass(frozen=True)
class Comparison:
    """Runs in the order of their experiments and settings."""

    entries: Sequence[Entry]
    notes: Sequence[str] = ()  # sentences about what is left out

    @cached_property
    def keys(self) -> list[str]:
        """The settings in which they differ."""
        return _keys(self.entries)

    def labels(self, without: str = "") -> list[str]:
        """What sets each run apart, its seed and a further key aside.

        Its experiment is named where runs of others would be called the same.
        """
        keys = [key for key in self.keys if key not in ("experiment", without)] or ["method"]
        names = [label(entry.settings, keys) for entry in self.entries]
        pairs = {(n, entry.stored.experiment) for n, entry in zip(names, self.entries, strict=True)}
        if without or len(pairs) == len(set(names)):
            return names
        return [label(entry.settings, ["experiment", *keys]) for entry in self.entries]

    @cached_property
    def experiments(self) -> list[str]:
        """Those that have a record."""
        return list(dict.fromkeys(e.stored.experiment for e in self.entries if e.final))

    @cached_property
    def columns(self) -> list[str]:
        """What can be listed or drawn of some run: metrics first, then hyperparameters."""
        found = dict.fromkeys(name for entry in self.entries for name in entry.final)
        return sorted(found, key=lambda name: ("/" in name, name not in HEADLINES))

    def column(self, name: str) -> str:
        """The column that a name, or a hyperparameter's own name, stands for."""
        for known in (name, f"hyperparameter/{name}"):
            if known in self.columns:
                return known
        raise unknown("column", name, self.columns)

    def headline(self) -> list[str]:
        """What is listed if nothing is asked for: a metric of every run."""
        order = [*HEADLINES, *self.columns]
        first = {min(entry.final, key=order.index) for entry in self.entries if entry.final}
        return sorted(first, key=order.index)

    def frame(self) -> pd.DataFrame:
        """A row a run: settings in which they differ, how it went and ended, and its place."""
        return pd.DataFrame(
            {key: entry.settings.get(key) for key in self.keys}
            | dict(entry.facts)
            | {f"final {name}": entry.final.get(name) for name in self.columns}
            | {f"last {LATEST} {name}": entry.latest.get(name) for name in self.columns}
            | {"path": str(entry.stored.path)}
            for entry in self.entries
        )

    def sheet(self, metrics: Sequence[str] = (), *, short: bool = False) -> Sheet:
        """A row a label, with mean and deviation over its seeds.

        Args:
            metrics: columns of the records, in the order given; the headline if there are none.
            short: without the mean of the last evaluations, and with few words below.
        """
        names = [self.column(name) for name in metrics] or self.headline()
        keys = self.keys or ["experiment", "method"]  # what is alone has a name, too
        groups: dict[Any, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            groups[entry.stored.path.parent].append(entry)
        parts = {"final": "{}, final"} | ({} if short else {"latest": f"{{}}, last {LATEST}"})
        rows = []
        for entries in groups.values():
            found = entries[0].settings
            row = {key: text(found[key]) if key in found else ABSENT for key in keys}
            row["seeds"] = _ranges(entry.stored.seed for entry in entries)
            ended = [e for e in entries if e.stored.manifest.get("status") == "complete"]
            for name in names:
                for part, header in parts.items():
                    values = [getattr(e, part).get(name, np.nan) for e in ended or entries]
                    lost = any(entry.facts["diverged"] for entry in entries)
                    row[header.format(name)] = _spread(values) + DAGGER * lost
            seconds = [entry.facts["seconds"] for entry in entries]
            row["time"] = _duration(float(np.mean(seconds)))
            row["status"] = _states(entries)
            rows.append(row)
        data = pd.DataFrame(rows)
        words = {*keys, "seeds", "status"}
        columns = [Column(name, name, words=name in words) for name in data]
        notes = [] if short else self.notes
        return Sheet(data, columns, "\n".join([*self._caption(short), *notes]))

    def selection(self, experiment: str | None = None) -> Selection:
        """Those with a record, one experiment's or all, by label as if it were their method."""
        runs = [
            Run(entry.stored, name, entry.stored.metrics())
            for name, entry in zip(self.labels(), self.entries, strict=True)
            if entry.final and experiment in (None, entry.stored.experiment)
        ]
        if not runs:
            raise UserError("None of these runs has a record yet; wait for the first.")
        steps = max(run.steps or int(run.last("step")) for run in runs)
        left = sum(not run.finished for run in runs)
        notes = (f"{left} of {len(runs)} runs have not come to their end.",) if left else ()
        return Selection(experiment or "", steps, tuple(runs), notes)

    def ends(self, columns: Sequence[str], against: str) -> pd.DataFrame:
        """The last values of columns and of what they are drawn against, with label and seed.

        Raises:
            UserError: `against` is not a number in every run.
        """
        rows = [
            {"label": name, "seed": entry.stored.seed, against: entry.values.get(against)}
            | {column: entry.final.get(column) for column in columns}
            for name, entry in zip(self.labels(without=against), self.entries, strict=True)
            if entry.final
        ]
        for value in {text(row[against]) for row in rows}:
            if not re.fullmatch(r"-?[\d.]+(e[-+]?\d+)?", value):
                raise UserError(
                    f"{against} is {value} in a run: what is drawn against is a number."
                )
        return pd.DataFrame(rows)

    def _caption(self, short: bool) -> list[str]:
        latest = f", and the mean of the last {LATEST} or as many as there are" * (not short)
        lines = [
            f"The last value{latest}: mean \N{PLUS-MINUS SIGN} standard deviation over the seeds "
            "at their end, if there are any.",
            "Time is that of training and hypergradients, a mean over the seeds; starting, "
            "compiling and evaluating are not in it.",
        ]
        lost = any(entry.facts["diverged"] for entry in self.entries)
        return lines + [f"{DAGGER}: with a run that diverged."] * lost


def compare(stored: Sequence[StoredRun]) -> Comparison:
    """All runs that can be read, in the order of their settings."""
    entries, notes, known = [], [], {}
    for run in stored:
        try:
            if broken := run.damage:
                raise UserError(f"{run.path}: {broken}; run it again")
            ends = dict(run.ends)
            final, latest = ends.pop("final"), ends.pop("latest")
            facts = {"seed": run.seed, "status": run.status, **ends}
            entries.append(Entry(run, settings(run, known), final, latest, facts))
        except UserError as error:
            notes.append(f"Left out: {error}.")
    keys = _keys(entries)
    return Comparison(sorted(entries, key=lambda entry: _place(entry, keys)), notes)


def unknown(kind: str, name: str, known: Sequence[str]) -> UserError:
    """The sentence for a name that is none of those known."""
    ends = {re.split(r"[./]", one)[-1]: one for one in reversed(known)} | {k: k for k in known}
    close = difflib.get_close_matches(name, ends, n=1)
    advice = f"did you mean {ends[close[0]]}?" if close else f"there are {', '.join(known)}."
    return UserError(f"These runs have no {kind} {name}; {advice}")


def _keys(entries: Sequence[Entry]) -> list[str]:
    """The settings in which they differ; the seeds of a variant have them in common."""
    return differing(list({one.stored.path.parent: one.settings for one in entries}.values()))


def _place(entry: Entry, keys: Sequence[str]) -> list[Any]:
    """Methods in the order of legends, numbers by size, all else by name."""
    values = {key: entry.settings.get(key) for key in keys}
    if (method := values.get("method")) in style.STYLES:
        values["method"] = list(style.STYLES).index(method)
    places = [
        (0, v, "") if isinstance(v, int | float) else (1, 0, text(v)) for v in values.values()
    ]
    return [*places, entry.stored.variant, entry.stored.seed]


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _spread(values: Sequence[float]) -> str:
    """Mean and standard deviation to the digits that tell runs apart."""
    found = [value for value in values if np.isfinite(value)]
    if not found:
        return ABSENT
    deviation = f" \N{PLUS-MINUS SIGN} {np.std(found, ddof=1):.2g}" if len(found) > 1 else ""
    return f"{np.mean(found):.4g}{deviation}"


def _ranges(seeds: Iterable[int]) -> str:
    """0-2, 7: what follows on another as a range."""
    together = groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0])
    runs = [[seed for _, seed in pairs] for _, pairs in together]
    return ", ".join(
        f"{one[0]}-{one[-1]}" if len(one) > 2 else ", ".join(map(str, one)) for one in runs
    )


def _states(entries: Sequence[Entry]) -> str:
    """`complete`, or how many are what; of those under way how far the last has come."""
    words = []
    for state, count in Counter(entry.facts["status"] for entry in entries).items():
        steps = [e.facts["step"] for e in entries if e.facts["status"] == state]
        far = f" at step {min(steps):,}" if state in ("running", "partial", "failed") else ""
        words.append((f"{count} " if count < len(entries) else "") + state + far)
    return ", ".join(words)
