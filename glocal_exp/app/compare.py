"""`glocal compare RUNS ... [KEY=VALUE ...]`: stored runs by the settings in which they differ."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from glocal_exp.app.main import entry_point
from glocal_exp.app.say import say
from glocal_exp.app.stop import Stop
from glocal_exp.errors import Parser, UserError, file_path
from glocal_exp.places import OUTPUTS
from glocal_exp.report import formats, style
from glocal_exp.report.comparison import Comparison, compare
from glocal_exp.report.figures.compared import draw_curves, draw_ends, heading, paragraphs
from glocal_exp.report.filters import chosen, full_key
from glocal_exp.store import StoredRun, find_runs
from glocal_exp.store.files import make_directory, write_together
from glocal_exp.store.index import write_index
from glocal_exp.store.load import run_directories

ABOUT = """\
List stored runs by the settings in which they differ: a row for each, with its seeds, how they
ended, the time they took, and how far they are. Nothing is chosen by its best value.

examples
  glocal compare outputs/runs
  glocal compare outputs/runs method=local,glocal 'task.init.learning_rate<0.1' status=complete
  glocal compare --draw test_accuracy,learning_rate
  glocal compare --draw test_accuracy --against task.init.learning_rate
  glocal compare --draw test_accuracy,learning_rate --html
"""


def run(arguments: Sequence[str], stop: Stop) -> int:
    """Print the table, and write what else is asked for."""
    options = _parse(arguments)
    folders = [word for word in options.words if Path(word).is_dir() or not set(word) & set("=<>")]
    conditions = [word for word in options.words if word not in folders]
    compared = chosen(_read(folders or [str(OUTPUTS / "runs")]), conditions)
    table = formats.markdown(compared.sheet(options.metrics)).rstrip()
    pictures = {}
    if options.html:
        pictures = _page(compared, options)
    elif options.draw or options.against:
        pictures = _pictures(compared, options)
    print(table)
    if options.csv:
        _write({options.csv: compared.frame().to_csv(index=False).encode()})
    if pictures:
        _write(pictures)
    return 0


def _pictures(compared: Comparison, options: Namespace) -> dict[Path, bytes]:
    columns = _columns(compared, options)
    with style.applied():
        if options.against:
            drawing = draw_ends(compared, columns, full_key(compared, options.against))
        else:
            drawing = draw_curves(compared, columns)
        files = style.render(drawing.figure) | {"txt": drawing.caption.encode()}
    return {options.out.with_name(f"{options.out.name}.{end}"): one for end, one in files.items()}


def _page(compared: Comparison, options: Namespace) -> dict[Path, bytes]:
    from glocal_exp.report.document import run_charts
    from glocal_exp.report.document.write import figure, page

    columns, name = _columns(compared, options), options.out.name
    title, about = heading(compared), " ".join(paragraphs(compared))
    if options.against:
        against = full_key(compared, options.against)
        frame = compared.ends(columns, against)
        chart = run_charts.ends(name, title, frame, columns, against, about)
    else:
        chart = run_charts.courses(name, title, compared.selection(), columns, about)
    return {options.out.with_name(f"{name}.html"): page(title, figure(chart)).encode()}


def _columns(compared: Comparison, options: Namespace) -> list[str]:
    return [compared.column(name) for name in options.draw] or compared.headline()


def _read(folders: Sequence[str]) -> Comparison:
    """The runs of each folder, or of the folder `runs` inside of it."""
    stored = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            what = f"{folder} is no folder" if folder.exists() else f"There is no folder {folder}"
            raise UserError(f"{what}; give one of runs, or KEY=VALUE.")
        place = folder / "runs" if (folder / "runs").is_dir() else folder
        if not (found := find_runs(place) or _inside(folder.absolute())):
            raise UserError(
                f"{folder} holds no stored run; give the folder `runs` of an output_dir."
            )
        stored[place] = found
    compared = compare([run for found in stored.values() for run in found])
    for place, found in stored.items():
        if run_directories(place):
            write_index(place, found)
    if not compared.entries:
        raise UserError(f"No run can be read. {' '.join(compared.notes)}")
    return compared


def _inside(folder: Path) -> list[StoredRun]:
    """The runs of an experiment's or a variant's folder, or the one of a run's."""
    roots = map(find_runs, list(folder.parents)[:3])
    found = ([run for run in runs if folder in (run.path, *run.path.parents)] for runs in roots)
    return next(filter(None, found), [])


def _write(contents: Mapping[Path, bytes]) -> None:
    for path in contents:
        make_directory(path.parent)
    write_together(contents)
    say(f"written: {', '.join(map(str, contents))}")


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = Parser("glocal compare", description=ABOUT)
    names = {"type": lambda text: text.split(","), "default": [], "metavar": "NAME[,NAME]"}
    parser.add_argument(
        "words", nargs="*", metavar="RUNS | CONDITION",
        help="folders of runs (outputs/runs), and KEY=VALUE[,VALUE], KEY!=VALUE or 'KEY<VALUE' of "
        "settings, columns and seed, status, step, seconds, diverged",
    )  # fmt: skip
    add = parser.add_argument
    add("--metrics", **names, help="columns to list (test_accuracy, or else a loss)")
    add("--draw", **names, help="metrics or hyperparameters to draw over training")
    add("--against", metavar="NAME", help="draw their last values over a setting or column instead")
    place = OUTPUTS / "figures" / "compared"
    add("--out", type=file_path, default=place, help="of pictures, without ending (%(default)s)")
    add("--html", action="store_true", help="instead of pictures a page with switches and values")
    add("--csv", type=file_path, metavar="FILE", help="write all that is known, a row a run")
    return parser.parse_intermixed_args(list(arguments))


main = entry_point(run)
