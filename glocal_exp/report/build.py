"""Building every figure or table that configs name: the body of make_figures and make_tables."""

import argparse
import contextlib
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from glocal_exp.errors import Parser, UserError
from glocal_exp.report import formats, style
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
from glocal_exp.report.figures.compared import ExperimentCurves
from glocal_exp.report.objects import entries, load
from glocal_exp.store import find_runs
from glocal_exp.store.files import make_directory, write_together

Kind = Literal["figure", "table"]
Outcome = Literal["nothing", "incomplete", "complete"]
SHOWN = 3  # of what is left out, by name
FORMS = {"md": formats.markdown, "csv": formats.csv_text, "tex": formats.latex}


def main(
    kind: Kind,
    repository: Path,
    arguments: Sequence[str] | None = None,
    home: Path | None = None,
) -> int:
    """Build artifacts and say which commands would make the missing ones.

    Args:
        repository: the folder with configs and the paper's numbers.
        home: where runs are and artifacts go, if arguments do not say; `results` of the repository.

    Returns the exit code: 0 if at least one was built, 1 if none (with --strict: if any lacks a
    run).
    """
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(
            f"warning: {message}", file=sys.stderr
        )
        return _build(kind, repository, _parse(kind, home or repository / "results", arguments))


def _build(kind: Kind, repository: Path, options: argparse.Namespace) -> int:
    folder = repository / "configs"
    files = sorted((folder / kind).glob("[!_]*.yaml"))  # with _: parts of others
    configs = {path.stem: path for path in files}
    if unknown := [name for name in options.ids if name not in configs]:
        raise UserError(
            f"There is no {kind} {', '.join(unknown)}; choose from {', '.join(configs)}."
        )
    if options.runs != repository / "results" / "runs" and not options.runs.is_dir():
        raise UserError(
            f"--runs={options.runs} is no directory; give the folder `runs` of an output directory."
        )
    context = Context.of(repository, options.runs, options.studies)
    chosen = options.ids or [
        n for n, path in configs.items() if not entries(path).get("on_request")
    ]
    for run in find_runs(options.runs, {"status": "damaged"}):
        print(f"warning: left out: {run.path}: {run.damage}; run it again", file=sys.stderr)
    makers, tell = {name: load(configs[name]) for name in chosen}, bool(options.ids)
    others = [] if options.ids else _unknown_experiments(options.runs, folder)
    with output(options.out) as out:
        came = {name: _write(name, of, context, out, tell) for name, of in makers.items()}
        own = others if kind == "figure" else []
        results = [*came.values(), *(_write_own(name, context, out) for name in own)]
    absent = [name for name, how in came.items() if how == "nothing"]
    if absent and not options.ids:
        advice = f"`glocal {kind}s {absent[0]}` says how to make one"
        more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
        print(f"not stored, so left out: {', '.join(absent[:SHOWN])}{more}; {advice}")
    if others and kind == "table":
        print(f"in no table: {', '.join(others)}; `glocal compare {options.runs}` lists them")
    complete, nothing = results.count("complete"), results.count("nothing")
    return int(nothing == len(results) or (options.strict and complete < len(results)))


@contextlib.contextmanager
def output(folder: Path) -> Iterator[Path]:
    """A folder to write to; if it is new and nothing comes to be there, there is none after."""
    is_new = not folder.exists()
    make_directory(folder)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # of what came to be there
            if is_new:
                folder.rmdir()


def _write(name: str, maker: Any, context: Context, out: Path, tell: bool = True) -> Outcome:
    try:
        if hasattr(maker, "draw"):
            with style.applied():
                made = maker.draw(context)
                files = style.render(made.figure) | {"txt": made.caption.encode()}
        else:
            made = maker.make(context)
            files = {ending: form(made).encode() for ending, form in FORMS.items()}
    except MissingRuns as absent:
        if tell:
            print(f"error: {name}: {_how(absent, context)}", file=sys.stderr)
        return "nothing"
    write_together({out / f"{name}.{ending}": content for ending, content in files.items()})
    print(f"{name}: {out / name}.{{{','.join(files)}}}")
    if made.missing:
        print(f"{name}: some runs are missing; {_commands(made.missing, context)}")
    return "incomplete" if made.missing else "complete"


def _write_own(experiment: str, context: Context, out: Path) -> Outcome:
    """Learning curves of an experiment that no figure shows."""
    try:
        return _write(experiment, ExperimentCurves(experiment), context, out)
    except UserError as error:
        print(f"{experiment}: {error}")
        return "nothing"


def _how(absent: MissingRuns, context: Context) -> str:
    """To what is not there."""
    if not isinstance(absent, MissingStudy):
        return f"no stored runs; {_commands(absent.args, context)}"
    command = f"glocal study study={absent} {_output_dir(context.studies)}"
    return f"not enough is stored; to make it: {command}"


def _commands(experiments: Sequence[str], context: Context) -> str:
    """What a user types to get the missing runs."""
    return f"to make them: glocal reproduce {' '.join(experiments)} {_output_dir(context.runs)}"


def _output_dir(stored: Path) -> str:
    """The setting that leads to a folder of runs or studies, as seen from here if it is below."""
    place, here = stored.parent.resolve(), Path.cwd()
    shown = place.relative_to(here) if place.is_relative_to(here) else place
    return shlex.quote(f"output_dir={shown}")


def _unknown_experiments(runs: Path, configs: Path) -> list[str]:
    """Stored ones that configs do not have; figures and tables name no others."""
    known = {path.stem for path in configs.glob("experiment/*.yaml")}
    return sorted(path.name for path in runs.glob("*") if path.is_dir() and path.name not in known)


def _parse(kind: Kind, home: Path, arguments: Sequence[str] | None) -> argparse.Namespace:
    about = f"Build {kind}s from stored runs."
    parser = Parser(f"glocal {kind}s", description=about)
    add = parser.add_argument
    add("ids", nargs="*", help=f"names in configs/{kind}; all of them by default")
    add("--runs", type=Path, default=home / "runs", help="stored runs (%(default)s)")
    add("--studies", type=Path, help="stored studies; those beside the runs if not given")
    add("--out", type=Path, default=home / f"{kind}s", help="where to write (%(default)s)")
    add("--strict", action="store_true", help="exit 1 if any run is missing")
    options = parser.parse_args(arguments)
    options.studies = options.studies or options.runs.parent / "studies"
    return options
