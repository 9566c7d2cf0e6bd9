"""`make report`: results/REPORT.md and results/report.html, from the source beside this file."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from PIL import Image
from plotly.offline import get_plotlyjs

from glocal_exp.errors import Parser
from glocal_exp.report.artifact import MissingRuns, MissingStudy
from glocal_exp.report.build import output
from glocal_exp.report.claims.criterion import NOT_RUN, size
from glocal_exp.report.document import run_charts, study_charts
from glocal_exp.report.document.charts import Chart
from glocal_exp.report.document.source import Lookup, Source
from glocal_exp.store.files import write_atomically, write_together

HERE = Path(__file__).parent
MARKDOWN, PAGE = "REPORT.md", "report.html"
COLOURS = 64  # of a picture in the page
TITLE = "What holds of Glocal Hypergradient Estimation with Koopman Operator"
TEX = re.compile(r"\$(\w)_(\w)\$")
EMPTY = re.compile(r"\n{3,}")
HEADING = re.compile(r"<h2>(.+?)</h2>")
FINDINGS = re.compile(r"(?:^\d\. \*\*.+\n)+", re.MULTILINE)
"""The report's first sentences, which the README repeats."""
CHARTS: dict[str, Callable[..., Iterable[Chart]]] = {
    "curves": run_charts.curves,
    "finals": run_charts.finals,
    "differences": run_charts.differences,
    "fidelity": study_charts.fidelity,
    "bound": study_charts.bound,
    "regret": study_charts.regret,
}
"""What the source's `figure` may be of."""


def main(repository: Path, arguments: Sequence[str] | None = None, home: Path | None = None) -> int:
    """Write both; returns the exit code.

    Where that is the repository's `results`, its README gets the report's first sentences.

    Args:
        home: where runs, studies and tables are, and the report goes; `results` of the repository.
    """
    home = home or repository / "results"
    text = "Write the report from stored runs, studies and tables."
    parser = Parser("glocal report", description=text)
    parser.add_argument("--tables", type=Path, default=home / "tables", help="where tables are")
    parser.add_argument("--out", type=Path, default=home, help="where to write")
    options = parser.parse_args(arguments)
    with output(options.out) as out:
        files = render(Source.of(repository, home, options.tables))
        write_together({out / name: text.encode() for name, text in files.items()})
    for name, text in files.items():
        print(f"{options.out / name}: {len(text.encode()) / 1e6:.2f} MB")
    readme = repository / "README.md"
    if options.out == repository / "results" and readme.exists():
        write_atomically(readme, with_findings(readme.read_text("utf-8"), files[MARKDOWN]).encode())
    return 0


def with_findings(page: str, report: str) -> str:
    """The page with these sentences as the report has them."""
    found = FINDINGS.findall(report)[0]
    return FINDINGS.sub(lambda _: found, page, count=1)


def render(source: Source) -> dict[str, str]:
    """The text of both files, the same for the same runs and tables."""
    in_page = InPage(source)
    body = HEADING.sub(_with_id, in_page.markdown.render(in_page.text()))
    return {MARKDOWN: InMarkdown(source).text(), PAGE: page(TITLE, body)}


def page(title: str, body: str) -> str:
    """A page that needs no other file and no network; figures in it are of `figure`."""
    parts = {name: (HERE / f"page.{name}").read_text("utf-8") for name in ("css", "js")}
    words = {"title": title, "body": body, "plotly": get_plotlyjs()}
    return template("page.html.j2").render(words | parts)


def figure(chart: Chart) -> str:
    """A chart with its switches, for a page."""
    return template("figure.html.j2").render(chart=chart, data=_data(chart))


def template(name: str) -> Any:
    """A file of this folder; in it a name that nothing stands for is an error."""
    environment = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(name)


@dataclass(frozen=True)
class InMarkdown:
    """The report for REPORT.md: pictures, and links to tables."""

    source: Source

    def text(self) -> str:
        """The report in Markdown."""
        lookup: Lookup = self.source.lookup
        words = {
            "figure": self.figure,
            "picture": self.picture,
            "table": self.table,
            "scoreboard": self.scoreboard,
            "experiments": self.source.experiments,
            "labels": self.source.labels,
            "size": size(self.source.experiments),
            "reads": self.source.reads,
            "not_run": [one for one in lookup.claims.values() if one["verdict"] == NOT_RUN],
        } | {name: getattr(lookup, name) for name in ("cell", "cells", "span", "claim", "has")}
        return EMPTY.sub("\n\n", template("report.md.j2").render(words))

    def picture(self, name: str) -> str:
        """A drawn figure that has no chart, with its caption."""
        return self.figure(name, static=[name])

    def figure(self, kind: str, *arguments: Any, static: Sequence[str] = ()) -> str:
        """The charts of an entry of `CHARTS`; `static` figures show the same in print."""
        pictures = [f"![{name}](figures/{name}.png)" for name in static]
        captions = ", ".join(f"[{name}](figures/{name}.txt)" for name in static)
        return "\n\n".join([*pictures, *([f"*Captions, with runs: {captions}.*"] * bool(static))])

    def table(self, name: str, whole: bool = False) -> str:
        """A stored table, with how to read it and its runs; Markdown links to it unless `whole`."""
        link = f"*Table: [{name}](tables/{name}.md), with its runs.*"
        return f"{self.source.lookup.text(name)[0]}\n\n{link}" if whole else link

    def scoreboard(self) -> str:
        """Every claim with its verdict."""
        return self.source.lookup.text("claims")[0]


class InPage(InMarkdown):
    """The same for report.html: figures that answer, tables whole."""

    @cached_property
    def markdown(self) -> MarkdownIt:
        return MarkdownIt("commonmark", {"html": True}).enable("table")

    def figure(self, kind: str, *arguments: Any, static: Sequence[str] = ()) -> str:
        try:
            charts = list(CHARTS[kind](self.source, *arguments))
        except MissingStudy as study:
            return f"*Not run: `python scripts/study.py study={study} output_dir=results`.*"
        except MissingRuns as runs:
            return f"*Not run: `python scripts/reproduce.py {' '.join(runs.args)}`.*"
        return "\n".join(map(figure, charts))

    def picture(self, name: str) -> str:
        stored = self.source.figures / f"{name}.png"
        if not stored.exists():
            return f"*Not drawn: `glocal figures {name}`.*"
        caption = stored.with_suffix(".txt").read_text("utf-8")
        title, reading = caption.split("\n", 1)
        return _in_one_piece(
            f'<figure class="picture"><figcaption>{escape(title)}</figcaption><img alt="" '
            f'src="data:image/png;base64,{_small(stored)}"><details><summary>How to read it, and '
            f"its runs</summary>{self._html(reading)}</details></figure>"
        )

    def table(self, name: str, whole: bool = False) -> str:
        table, caption = self.source.lookup.text(name)
        return _in_one_piece(
            f'<div class="scroll">{self._html(table)}</div><details><summary>Table {name}: how to '
            f"read it, and its runs</summary>{self._html(caption)}</details>"
        )

    def scoreboard(self) -> str:
        _, caption = self.source.lookup.text("claims")
        claims, counts = self.source.lookup.claims, self.source.lookup.verdicts
        words = {"claims": claims, "counts": counts, "caption": self._html(caption)}
        return _in_one_piece(template("scoreboard.html.j2").render(words))

    def _html(self, text: str) -> str:
        return TEX.sub(r"<i>\1</i><sub>\2</sub>", self.markdown.render(text))


def _with_id(heading: re.Match[str]) -> str:
    """A heading that links find by GitHub's name for it."""
    name = re.sub(r"[^\w -]", "", heading[1].lower()).replace(" ", "-")
    return f'<h2 id="{name}">{heading[1]}</h2>'


def _small(picture: Path) -> str:
    """A picture for the screen, in base64."""
    buffer = io.BytesIO()
    with Image.open(picture) as image:
        half = image.convert("RGB").reduce(2)
        half.quantize(COLOURS).save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _data(chart: Chart) -> str:
    """A chart's panels as JSON that can stand in a page."""
    panels = json.dumps([one.as_plotly() for one in chart.panels], separators=(",", ":"))
    return panels.replace("</", "<\\/")


def _in_one_piece(text: str) -> str:
    """Without empty lines, at which Markdown would end the block."""
    return re.sub(r"\n\s*\n", "\n", text)
