"""Building every figure or table that configs name: the body of make_figures and make_tables."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.errors import UserError
from glocal_exp.report import formats, style
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
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


def instantiate(config: Path) -> Any:
    """The object that a YAML file's `_target_` names, made from its other entries."""
    settings = _entries(config)
    if "_target_" not in settings:
        raise UserError(f"{config} names no _target_; give it the dotted path of a class")
    settings.pop(ON_REQUEST, None)
    module, _, name = str(settings.pop("_target_")).rpartition(".")
    try:
        target = getattr(importlib.import_module(module), name)
        return target(**settings)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(f"{config} cannot be used: {error}; correct it") from error


def _build(kind: Kind, repository: Path, options: argparse.Namespace) -> int:
    configs = {path.stem: path for path in sorted((repository / "configs" / kind).glob("*.yaml"))}
    unknown = [name for name in options.ids if name not in configs]
    if unknown:
        raise UserError(
            f"there is no {kind} {', '.join(unknown)}; choose from {', '.join(configs)}"
        )
    if options.runs != repository / RUNS and not options.runs.is_dir():
        raise UserError(
            f"--runs={options.runs} is no directory; give the folder `runs` of an output directory"
        )
    paper = _paper(repository / "results" / "paper.csv")
    context = Context(options.runs, paper, options.studies)
    make_directory(options.out)
    built, lacking = 0, 0
    chosen = options.ids or [n for n, path in configs.items() if not _entries(path).get(ON_REQUEST)]
    for name in chosen:
        maker = instantiate(configs[name])
        try:
            files, missing = _WRITERS[kind](maker, context)
        except MissingStudy as error:
            command = f"python scripts/study.py study={error.study}"
            print(f"{name}: nothing is stored; to make it: {command}")
            lacking += 1
            continue
        except MissingRuns as error:
            print(f"{name}: no stored runs; {commands(error.experiments)}")
            lacking += 1
            continue
        for ending, content in files.items():
            write_atomically(options.out / f"{name}.{ending}", content)
        built += 1
        print(f"{name}: {options.out / name}.{{{','.join(files)}}}")
        if missing:
            lacking += 1
            print(f"{name}: some runs are missing; {commands(missing)}")
    if not options.ids and (others := _unknown_experiments(options.runs, repository / "configs")):
        print(
            f"in no {kind}: {', '.join(others)}; figures and tables show the experiments that "
            "their YAML files name: train with experiment=ID, and settings of your own after it"
        )
    return 1 if built == 0 or (options.strict and lacking) else 0


def _unknown_experiments(runs: Path, configs: Path) -> list[str]:
    """Stored ones that no figure and no table names, nor an experiment's file."""
    known = {path.stem for path in configs.glob("experiment/*.yaml")}
    texts = [p.read_text() for kind in ("figure", "table") for p in configs.glob(f"{kind}/*.yaml")]
    stored = sorted(path.name for path in runs.glob("*") if path.is_dir())
    return [n for n in stored if n not in known and not any(n in text for text in texts)]


def _entries(config: Path) -> dict[str, Any]:
    entries = OmegaConf.to_container(OmegaConf.load(config), resolve=True)
    return {str(key): value for key, value in entries.items()} if isinstance(entries, dict) else {}


def commands(experiments: Sequence[str]) -> str:
    """What a user types to get the missing runs."""
    listed = ", ".join(f"python scripts/reproduce.py {name}" for name in experiments)
    return f"to make them: {listed}"


def _figure_files(maker: Any, context: Context) -> tuple[dict[str, bytes], tuple[str, ...]]:
    with style.applied():
        drawing = maker.draw(context)
        files = style.render(drawing.figure)
    return files | {"txt": drawing.caption.encode()}, drawing.missing


def _table_files(maker: Any, context: Context) -> tuple[dict[str, bytes], tuple[str, ...]]:
    sheet = maker.make(context)
    files = {
        "md": formats.markdown(sheet).encode(),
        "csv": formats.csv_text(sheet).encode(),
        "tex": formats.latex(sheet).encode(),
    }
    return files, sheet.missing


_WRITERS: dict[Kind, Callable[[Any, Context], tuple[dict[str, bytes], tuple[str, ...]]]] = {
    "figure": _figure_files,
    "table": _table_files,
}


def _paper(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


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
