"""Imports run one way through the rooms of the package, read off the source with ast."""

import ast
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "glocal_exp"

NUMERICS = {"types", "hypergrad", "models", "data"}
# What each room sees beside itself; `errors` is seen by all, `__main__` is the command line.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "records": set(),
    "places": set(),
    "stats": set(),
    "koopman": set(),
    "types": set(),
    "hypergrad": {"types"},
    "models": {"types"},
    "data": {"types"},
    "tasks": NUMERICS,
    "methods": {"koopman"},
    "engine": NUMERICS | {"tasks", "methods", "records"},
    "problems": NUMERICS | {"tasks", "engine"},
    "tuner": {"types", "hypergrad", "methods", "records", "engine"},
    "tracking": {"records"},
    "store": {"records", "places"},
    "report": {"places", "store", "stats", "methods", "koopman", "records"},
}
ROOMS["studies"] = {*ROOMS["problems"], "problems", "methods", "koopman", "records", "stats"}
ROOMS["app"] = set(ROOMS)
ROOMS["__main__"] = {"app"}

# Third-party packages that a room may import; rooms not named here are free but for JAX and SINGLE.
NUMPY_ONLY = {"numpy", "pandas", "jaxtyping"}
PACKAGES: dict[str, set[str]] = {
    "errors": set(),
    "places": set(),
    "records": NUMPY_ONLY,
    "stats": NUMPY_ONLY | {"scipy"},  # quantiles of Student's t
    "koopman": NUMPY_ONLY,
    "methods": NUMPY_ONLY,
    "types": {"jax", "equinox", "jaxtyping"},
}
JAX = {"jax", "jaxlib", "equinox", "optax"}
WITHOUT_JAX = ("errors", "places", "records", "stats", "koopman", "methods", "tracking", "store")
WITHOUT_JAX += ("report",)
# The one place, a module or a room, that may import a package.
SINGLE = {
    "hydra": "glocal_exp.app",
    "wandb": "glocal_exp.tracking.wandb",
    "tensorflow_datasets": "glocal_exp.data.tfds",
}


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported(path: Path) -> list[tuple[int, str]]:
    """Line and absolute name of all that a file imports, inside functions too."""
    parent, found = path.relative_to(REPOSITORY).parent.parts, []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            anchor = parent[: len(parent) - node.level + 1] if node.level else ()
            base = ".".join([*anchor, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def room_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "glocal_exp" and len(parts) > 1 else None


def breaches(path: Path) -> Iterator[str]:
    """What a file of the package imports against the rules."""
    room = room_of(module_name(path))
    for line, name in imported(path):
        where = f"{path.relative_to(REPOSITORY)}:{line} imports {name}"
        top = name.split(".")[0]
        seen = room_of(name)
        if top in ("benchmarks", "scripts", "tests"):
            yield f"{where}: the package knows neither benchmarks nor scripts nor tests"
        elif seen in ROOMS and room is not None and seen not in ROOMS[room] | {room, "errors"}:
            yield f"{where}: {room} does not see {seen}"
        elif top not in {*sys.stdlib_module_names, "glocal_exp"}:
            if room in PACKAGES and top not in PACKAGES[room]:
                yield f"{where}: {room} imports {sorted(PACKAGES[room])} only"
            elif room in WITHOUT_JAX and top in JAX:
                yield f"{where}: {room} works without JAX"


def rooms_on_disk() -> set[str]:
    return {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.is_dir() and any(path.glob("*.py"))) or path.suffix == ".py"
    } - {"__init__"}


def test_every_room_has_its_place():
    assert rooms_on_disk() <= set(ROOMS), "a new room: say in ROOMS what it sees"


def test_imports_run_one_way():
    assert [text for path in sources(PACKAGE) for text in breaches(path)] == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("koopman", "import jax.numpy as jnp"),
        ("report", "def draw():\n    from jax import vmap"),
        ("hypergrad", "from glocal_exp.tasks import sgd"),
        ("hypergrad", "from .. import engine"),
        ("store", "from ..report.style import COLOURS"),
        ("types", "import numpy as np"),
        ("methods", "import scripts.train"),
        ("studies", "from benchmarks.ours import Ours"),
        ("methods", "import jax"),
        ("methods", "from glocal_exp.types import Batch"),
        ("report", "from glocal_exp.engine import run"),
    ],
)
def test_a_breach_is_found(room, line, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "REPOSITORY", tmp_path)
    path = tmp_path / "glocal_exp" / room / "module.py"
    path.parent.mkdir(parents=True)
    path.write_text(f"import glocal_exp.errors\n{line}\n")
    assert len(list(breaches(path))) == 1


@pytest.mark.parametrize(("package", "place"), SINGLE.items())
def test_only_one_place_imports(package, place):
    importers = {
        module_name(path)
        for path in [*sources(PACKAGE), *sources(REPOSITORY / "scripts")]
        if any(name.split(".")[0] == package for _, name in imported(path))
    }
    assert {name for name in importers if not f"{name}.".startswith(f"{place}.")} == set()


def test_figures_and_tables_build_without_jax():
    """Nothing that they import reaches JAX by a detour either (hydra, matplotlib, pandas, ...)."""
    modules = [
        module_name(path)
        for path in sources(PACKAGE)
        if room_of(module_name(path)) in WITHOUT_JAX and path.name != "__main__.py"
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*sorted({JAX!r} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout.split()) == (0, []), result.stderr


def test_what_draws_rounds_alike_on_every_processor():
    """Its linear algebra is told so before it is imported."""
    program = (
        "import os, sys; from glocal_exp.app import command; assert 'numpy' not in sys.modules;"
        "command.round_alike(); print(*(os.environ.get(name) for name in command.SAME_DIGITS))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    run = [sys.executable, "-c", program]
    found = subprocess.check_output(run, cwd=REPOSITORY, env=environment, text=True)
    intel = platform.machine().lower() in ("x86_64", "amd64")
    assert found.split() == (["Haswell", "1"] if intel else ["None", "None"])
    given = {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "2"}
    found = subprocess.check_output(run, cwd=REPOSITORY, env=environment | given, text=True)
    assert found.split() == ["SkylakeX", "2"]
