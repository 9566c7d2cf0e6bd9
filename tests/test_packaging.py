"""Dependencies are declared and locked for every supported Python; make says what it can do."""

import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from glocal_exp import __version__

from .test_architecture import imported, sources

REPOSITORY = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKED_EXTRAS = [name for name in EXTRAS if name != "bench"]
PYTHONS = ["3.11", "3.12", "3.13"]
PLATFORMS = {"linux": "x86_64", "darwin": "arm64"}
TOP_LEVEL = {
    *{"benchmarks", "configs", "docs", "glocal_exp", "scripts", "results", "tests"},
    *{"pyproject.toml", "constraints.txt", "Makefile", "mkdocs.yml"},
    *{"README.md", "LICENSE", "CITATION.cff"},
}


providers = cache(metadata.packages_distributions)


def requirements(*extras: str) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return [Requirement(line) for line in lines]


def names(*extras: str) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements(*extras)}


def constraint_lines() -> list[str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def undeclared(folder: str, declared: set[str]) -> dict[str, set[str]]:
    """Third-party imports of a folder whose distribution is not declared, with the files."""
    own = {*sys.stdlib_module_names, "benchmarks", "docs", "glocal_exp", "scripts", "tests"}
    own |= {"_start", ""}
    found: dict[str, set[str]] = {}
    for path in sources(REPOSITORY / folder):
        for top in {name.split(".")[0] for _, name in imported(path)} - own:
            distributions = {canonicalize_name(name) for name in providers().get(top, [top])}
            if not distributions & declared:
                found.setdefault(top, set()).add(path.relative_to(REPOSITORY).as_posix())
    return found


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("benchmarks", ["bench"]),
        ("glocal_exp", ["search", "slurm", "tfds"]),
        ("scripts", []),
        ("tests", ["dev", "search", "tfds"]),
        ("docs/examples", ["examples", "bench"]),
    ],
)
def test_every_import_is_declared(folder, extras):
    assert undeclared(folder, names(*extras)) == {}


def test_an_undeclared_import_is_found():
    assert "numpy" in undeclared("glocal_exp", names() - {"numpy"})


def test_constraints_are_plain_pins():
    """No hashes, indexes, extras or files: what pip accepts as constraints from any registry."""
    for line in constraint_lines():
        pin = Requirement(line)
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), line
        assert not pin.extras, line
        assert pin.url is None, line


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_each_requirement_has_one_pin_that_satisfies_it(python, platform):
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": platform,
        "platform_system": platform.capitalize(),
        "platform_machine": PLATFORMS[platform],
    }
    pins: dict[str, list[str]] = {}
    for pin in map(Requirement, constraint_lines()):
        if pin.marker is None or pin.marker.evaluate(environment):
            version = str(pin.specifier).removeprefix("==")
            pins.setdefault(canonicalize_name(pin.name), []).append(version)
    for wanted in requirements(*LOCKED_EXTRAS):
        applies = wanted.marker is None or wanted.marker.evaluate(environment)
        if applies and wanted.name != PROJECT["name"]:
            versions = pins.get(canonicalize_name(wanted.name), [])
            assert len(versions) == 1, f"{wanted}: {versions}"
            assert versions[0] in wanted.specifier, f"{wanted}: {versions[0]}"


def test_pythons_agree():
    """pyproject.toml's range and its classifiers name the versions that the lock is tested for."""
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}.1" in supported] == PYTHONS
    classifiers = [line.split(" :: ")[-1] for line in PROJECT["classifiers"] if " 3." in line]
    assert classifiers == PYTHONS


@pytest.mark.parametrize(("form", "key"), [("wheel", "only-include"), ("sdist", "include")])
def test_what_is_read_from_results_is_packed(form, key):
    packed = PYPROJECT["tool"]["hatch"]["build"]["targets"][form][key]
    results = (REPOSITORY / "results").iterdir()
    read = {f"results/{path.name}" for path in results if path.suffix in (".csv", ".json", ".yaml")}
    assert "results/claims.yaml" in read
    assert read <= {name.lstrip("/") for name in packed}


def test_citation_names_this_version():
    citation = (REPOSITORY / "CITATION.cff").read_text()
    assert f"\nversion: {__version__}\n" in citation


def test_top_level_holds_only_what_it_should():
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("no git checkout: what belongs to the repository is not known")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    entries = {name.split("/")[0] for name in listing.stdout.split("\0") if name}
    assert {name for name in entries if not name.startswith(".")} <= TOP_LEVEL


def make(*arguments: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=folder, capture_output=True, text=True
    )


def test_help_lists_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = re.findall(r"^  make ([\w-]+) +\S.*$", make("help").stdout, re.MULTILINE)
    assert listed == phony[1].split()


def test_without_a_suitable_python_make_says_so(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    result = make("setup", "PYTHON=no-such-python", folder=tmp_path)
    assert result.returncode != 0
    assert "glocal_exp needs Python 3.11, 3.12 or 3.13" in result.stderr
    assert not (tmp_path / ".venv").exists()
