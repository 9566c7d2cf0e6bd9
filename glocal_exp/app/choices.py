"""The files in configs/ as plain YAML: what there is to choose, without Hydra's slow import."""

import json
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from glocal_exp.places import CONFIGS

KEYS = {
    "steps": "T, training steps; a multiple of interval",
    "interval": "tau, training steps between two updates of the hyperparameters",
    "batch_size": "training images to a step",
    "microbatch.cpu": "of them at a time; tangents take memory for each",
    "eval_every": "metrics every so many steps; null is every interval",
    "seed": "of initial weights, batches and split",
    "seeds": "several in one program, as 'seeds=[0,1,2]'",
    "validation.size": "images held out of the training set, a count or a fraction",
    "validation.subset": "of these, so many in a hypergradient; null is all",
    "validation_chunk.cpu": "of these, so many at a time",
    "task.init.learning_rate": "where it starts, in natural units; momentum, ... likewise",
    "method.window": "sigma, hypergradients that glocal looks at",
    "method.delays": "m, hypergradients stacked into one snapshot",
    "carry_tangents": "keep tangents from one interval to the next",
    "stop_when_diverged": "end a run whose weights are no longer finite",
    "precision": "float32 or float64",
    "keep_arrays.every": "store trajectories and spectra of every so many intervals",
    "data_dir": "folder of the original files, for source=files and source=auto",
    "output_dir": "runs go into OUTPUT_DIR/runs/EXPERIMENT/METHOD-HASH/seed=K",
}
TEXT = """\
Train a network while its hyperparameters follow a hypergradient.

usage: glocal train [-m] [GROUP=CHOICE ...] [KEY=VALUE ...]

examples
  glocal train preset=quick method=glocal
      the embedded images, {quick} steps: a minute or two
  glocal train dataset=fmnist source=files data_dir=PATH task=sgd method=glocal seed=0
      the paper's size, on the original files
  glocal train -m method=none,local,global,glocal seed=0,1,2 steps=2000
      every combination, one after another; launcher=processes launcher.n=2: two at a time

groups (* is the default)
{groups}

keys (with their defaults; `--cfg job` prints all)
{keys}

flags
  -m, --multirun    run every combination of values separated by commas
  -c, --cfg job     print what the command resolves to, and run nothing
  -h, --help        this

The same command again goes on where it was stopped, and does only what is missing, failed or stale.
from=RUN_DIR repeats a stored run's config. HYDRA_FULL_ERROR=1 shows the traceback of an error.
`glocal reproduce` runs the experiments of the paper."""


@cache
def read(name: str) -> dict[str, Any]:
    """A file's content, as of `method/glocal`."""
    return yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) or {}


def groups() -> dict[str, str | None]:
    """The groups that the root config chooses from, in its order, with its choices."""
    entries = [entry for entry in read("main")["defaults"] if isinstance(entry, dict)]
    chosen = {group: choice for entry in entries for group, choice in entry.items()}
    return {k: v for k, v in chosen.items() if not k.startswith("override ")}


def root_of(override: str) -> str:
    """What an override is of: the group, or the key of the root."""
    return override.lstrip("+~").split("=")[0].split(".")[0]


def choices(group: str) -> list[str]:
    """The names of a group's files."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def described(group: str, width: int) -> str:
    """A line for each choice: its name, and what the first comment of its file says."""
    lines = []
    for name in choices(group):
        comments = (CONFIGS / group / f"{name}.yaml").read_text().splitlines()
        about = next(line[1:].strip() for line in comments if line[:3] not in ("# @", ""))
        lines.append(f"  {name:<{width}} {about}")
    return "\n".join(lines)


def help_page() -> str:
    """What `glocal train --help` prints."""
    lines = []
    for group, default in groups().items():
        words = " ".join(f"*{name}" if name == default else name for name in choices(group))
        lines.append(textwrap.fill(f"  {group:<16} {words}", 100, subsequent_indent=" " * 19))
    quick = read("preset/quick")["steps"]
    return TEXT.format(quick=quick, groups="\n".join(lines), keys="\n".join(_keys()))


def _keys() -> Iterator[str]:
    chosen = groups()
    values = read("main") | {name: read(f"{name}/{chosen[name]}") for name in ("task", "method")}
    values |= read(f"preset/{chosen['preset']}")
    for key, meaning in KEYS.items():
        value: Any = values
        for part in key.split("."):
            value = value[part]
        shown = value if isinstance(value, str) else json.dumps(value)
        if shown.startswith("${oc.env:"):
            shown = f"${shown[9:].split(',')[0]}"
        yield f"  {f'{key}={shown}':<32} {meaning}"
