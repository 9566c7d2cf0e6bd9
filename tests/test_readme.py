"""What the README says is what the repository holds."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_example_is_the_one_that_is_tested():
    code = (ROOT / "tests" / "ridge.py").read_text().split('"""\n', 1)[1].strip()
    assert code in README


def test_every_linked_file_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) >= 2
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_config_named_in_a_command_exists():
    groups = {path.name for path in (ROOT / "configs").iterdir() if path.is_dir()}
    commands = "\n".join(re.findall(r"python scripts/train.py ([^`\n]*)", README))
    pairs = re.findall(r"(\w+)=([\w,]+)(?![\w,.])", commands)  # a dotted path is no file
    named = [pair for pair in pairs if pair[0] in groups]
    missing = [
        (group, name)
        for group, names in named
        for name in names.split(",")
        if not (ROOT / "configs" / group / f"{name}.yaml").exists()
    ]
    assert len(named) >= 9
    assert missing == []
