"""Building every figure or table that configs name: the body of make_figures and make_tables."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report import formats, style
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
from glocal_exp.report.objects import entries, load
from glocal_exp.store.files import make_directory, write_atomically

# In YAML: built only when its id is given.
ON_REQUEST = "on_request"
RUNS = Path("results") / "runs"

Kind = Literal["figure", "table"]


def main(kind: Kind, repository: Path, arguments: Sequence[str] | None = None) -> int:
    """Build artifacts and say which commands would make the missing ones.

    Returns the exit code: 0 if at least one was built, 1 if none (with --strict: if any lacks a
    run), 2 for a user's mistake.
    """
    options = _parse(kind, repository, arguments)
    try:
        return _build(kind, repository, options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _build(kind: Kind, repository: Path, options: argparse.Namespace) -> int:
    files = sorted((repository / "configs" / kind).glob("[!_]*.yaml"))  # with _: parts of others
    configs = {path.stem: path for path in files}
    if unknown := [name for name in options.ids if name not in configs]:
        raise UserError(
            f"there is no {kind} {', '.join(unknown)}; choose from {', '.join(configs)}"
        )
    if options.runs != repository / RUNS and not options.runs.is_dir():
        raise UserError(
            f"--runs={options.runs} is no directory; give the folder `runs` of an output directory"
        )
    paper = repository / "results" / "paper.csv"
    printed = {"paper": pd.read_csv(paper)} if paper.exists() else {}
    context = Context(
        options.runs, studies=options.studies, configs=repository / "configs", **printed
    )
    make_directory(options.out)
    chosen = options.ids or [n for n, path in configs.items() if not entries(path).get(ON_REQUEST)]
    results = [_write(kind, configs[name], context, options.out) for name in chosen]
    if not options.ids and (others := _unknown_experiments(options.runs, repository / "configs")):
        print(
            f"in no {kind}: {', '.join(others)}; figures and tables show the experiments that "
            "their YAML files name: train with experiment=ID, and settings of your own after it"
        )
    lacking = results.count("nothing") + results.count("incomplete")
    return 1 if results.count("nothing") == len(results) or (options.strict and lacking) else 0


def _write(
    kind: Kind, config: Path, context: Context, out: Path
) -> Literal["nothing", "incomplete", "complete"]:
    name = config.stem
    maker = load(config, but=ON_REQUEST)
    try:
        files, missing = (_figure if kind == "figure" else _table)(maker, context)
    except MissingStudy as error:
        command = f"python scripts/study.py study={error.args[0]}"
        print(f"{name}: nothing is stored; to make it: {command}")
        return "nothing"
    except MissingRuns as error:
        print(f"{name}: no stored runs; {commands(error.args)}")
        return "nothing"
    for ending, content in files.items():
        write_atomically(out / f"{name}.{ending}", content)
    print(f"{name}: {out / name}.{{{','.join(files)}}}")
    if missing:
        print(f"{name}: some runs are missing; {commands(missing)}")
    return "incomplete" if missing else "complete"


def _unknown_experiments(runs: Path, configs: Path) -> list[str]:
    """Stored ones that no figure and no table names, nor an experiment's file."""
    known = {path.stem for path in configs.glob("experiment/*.yaml")}
    texts = [p.read_text() for kind in ("figure", "table") for p in configs.glob(f"{kind}/*.yaml")]
    stored = sorted(path.name for path in runs.glob("*") if path.is_dir())
    return [n for n in stored if n not in known and not any(n in text for text in texts)]


def commands(experiments: Sequence[str]) -> str:
    """What a user types to get the missing runs."""
    listed = ", ".join(f"python scripts/reproduce.py {name}" for name in experiments)
    return f"to make them: {listed}"


def _figure(maker: Any, context: Context) -> tuple[dict[str, bytes], tuple[str, ...]]:
    with style.applied():
        drawing = maker.draw(context)
        files = style.render(drawing.figure)
    return files | {"txt": drawing.caption.encode()}, drawing.missing


def _table(maker: Any, context: Context) -> tuple[dict[str, bytes], tuple[str, ...]]:
    sheet = maker.make(context)
    forms = {"md": formats.markdown, "csv": formats.csv_text, "tex": formats.latex}
    return {ending: form(sheet).encode() for ending, form in forms.items()}, sheet.missing


def _parse(kind: Kind, repository: Path, arguments: Sequence[str] | None) -> argparse.Namespace:
    results = repository / "results"
    parser = argparse.ArgumentParser(description=f"Build {kind}s from stored runs.")
    parser.add_argument("ids", nargs="*", help=f"names in configs/{kind}; all of them by default")
    parser.add_argument("--runs", type=Path, default=repository / RUNS, help="stored runs")
    parser.add_argument(
        "--studies", type=Path, help="stored studies; those beside the runs if not given"
    )
    parser.add_argument("--out", type=Path, default=results / f"{kind}s", help="where to write")
    parser.add_argument("--strict", action="store_true", help="exit 1 if any run is missing")
    options = parser.parse_args(arguments)
    options.studies = options.studies or options.runs.parent / "studies"
    return options
