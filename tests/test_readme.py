"""What README and docs say is what the repository holds; links within docs are `make docs`'s."""

import re
import shlex
from pathlib import Path

import pytest

from glocal_exp.app.check import check
from glocal_exp.app.compose import jobs
from glocal_exp.report.document.write import with_findings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
TRAINED = [re.split("  +#", found)[0] for found in re.findall(r"glocal train ([^`\n]+)", TEXT)]
TRAINED = sorted(
    {words for words in TRAINED if not re.search(r"[A-Z]{3}|\.\.\.|--|\||mypackage", words)}
)
"""What is said to be typed after `glocal train`, without words that stand for others."""
FOLDERS = "benchmarks|configs|docs|glocal_exp|results|scripts|tests"


def test_the_example_is_the_one_that_is_tested():
    code = (ROOT / "tests" / "ridge.py").read_text().split('"""\n', 1)[1].strip()
    assert code in README


def test_every_linked_file_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) >= 16
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_named_path_exists():
    paths = set(re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", TEXT))
    assert len(paths) >= 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_findings_are_those_of_the_report():
    report = (ROOT / "results" / "REPORT.md").read_text()
    assert with_findings(README, report) == README
    assert with_findings(README, report.replace("holds**", "fails**")) != README


def test_every_config_named_in_a_command_exists():
    groups = {path.name for path in (ROOT / "configs").iterdir() if path.is_dir()}
    commands = "\n".join(re.findall(r"glocal (?:train|study) ([^`\n]*)", TEXT))
    named = re.findall(r"(?<!@)\b(\w+)=([\w,]+)(?![\w,.])", commands)
    missing = [
        (group, name)
        for group, names in named
        if group in groups
        for name in names.split(",")
        if not (ROOT / "configs" / group / f"{name}.yaml").exists()
    ]
    assert len(named) >= 60
    assert missing == []


@pytest.mark.parametrize("words", TRAINED)
def test_a_printed_command_passes_the_check_of_settings(words, monkeypatch):
    monkeypatch.delenv("GLOCAL_DATA_DIR", raising=False)
    overrides = shlex.split(re.sub(r"\bseed=[\d,]+", "seed=0", words))  # the same of each seed
    for job in jobs([word for word in overrides if word != "-m"], "-m" in overrides):
        check(job.config)


def test_printed_commands_are_found():
    assert len(TRAINED) >= 30
