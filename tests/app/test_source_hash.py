"""What decides a run's numbers belongs to its source hash, and what cannot does not."""

import ast
import shutil

import pytest

from glocal_exp.app.identity import ENGINE
from glocal_exp.store.fingerprint import NOT_NUMERIC, ROOT, import_closure, source_fingerprint

# A line in every place where a number is decided, and another that decides otherwise.
NUMERIC = [
    ("app/assemble.py", "cfg.validation.balanced", "not cfg.validation.balanced"),
    ("app/assemble.py", 'cfg.precision == "float64"', "True"),
    ("app/assemble.py", "settings.matmul_precision)", '"default")'),
    ("app/assemble.py", "validation_chunk=settings.validation_chunk", "validation_chunk=None"),
    ("app/assemble.py", "data, validation.size, seed", "data, validation.size, seed + 1"),
    (
        "data/imbalance.py",
        "order[labels[order] == c][:count]",
        "order[labels[order] == c][-count:]",
    ),
    ("data/split.py", "np.arange(subset)", "np.arange(len(labels))[-subset:]"),
    ("data/imbalance.py", "+ ROUNDING", "- ROUNDING"),
    ("data/checksums.py", "pixels * t - s * s", "pixels * t"),
    ("tasks/classification.py", "float(v) / 255", "float(v) / 256"),
    ("tasks/classification.py", "images.astype(dtype) / 255", "images.astype(dtype) / 256"),
    ("engine/batches.py", ".permutation(examples)", ".permutation(examples)[::-1]"),
    ("engine/compiled.py", "jnp.stack(leaves)", "jnp.stack(leaves) + 0"),
    ("engine/evaluation.py", 'named.pop("meta_loss")', 'named.pop("loss")'),
    ("engine/examples.py", "if self.meta is None else self.meta", "if True else self.meta"),
    ("engine/loop.py", "memory=snapshot.memory, values=values)", "values=values)"),
    ("engine/meta_step.py", "optax.apply_updates(phi, updates)", "phi"),
    ("engine/modes/forward.py", "indices[1:]", "indices[:-1]"),
    ("engine/modes/low_rank.py", "laid.directions", "-laid.directions"),
    ("engine/modes/reverse.py", ".at[-1].set(row)", ".at[0].set(row)"),
    ("engine/plan.py", "self.method.wanted(self.schedule.interval)", "self.method.wanted(1)"),
    ("engine/playout.py", "(first + place.interval)", "(first)"),
    ("engine/work.py", "leaf[chosen]", "leaf[chosen[::-1]]"),
    ("hypergrad/forward.py", "self.direct + self.through", "self.through"),
    ("hypergrad/forward.py", "weight.astype(m.dtype) * x", "x"),
    ("hypergrad/gradient.py", "pushed + by_value * gradient", "pushed"),
    ("koopman/dmd.py", 'mode="r"', 'mode="raw"'),
    ("methods/glocal.py", "moment.steps_left", "0"),
    ("models/conv.py", "jnp.concatenate([", "jnp.stack(["),
    ("types.py", "params: PyTree[Any]", "params: PyTree"),
]
# And where none is: messages, what is recorded, stored, shown.
OTHERS = [
    ("engine/recorder.py", "NAMED = 16", "NAMED = 8"),
    ("records.py", "plain_steps: int = 0", "plain_steps: int = 1"),
    ("app/build.py", "lru_cache(maxsize=1)", "lru_cache(maxsize=2)"),
    ("tracking/progress.py", "import time", "import time as time"),
    ("store/manifest.py", "SCHEMA = 1", "SCHEMA = 2"),
    ("stats.py", "import numpy as np", "import numpy as np, math"),
]
GLOCAL = ("glocal_exp.methods.glocal", "glocal_exp.models.lenet", "glocal_exp.koopman.dmd")


@pytest.fixture(scope="module")
def closure():
    return import_closure([*ENGINE, *GLOCAL], ROOT, NOT_NUMERIC)


def changed(file: str, old: str, new: str) -> str:
    """The file's text with `old` become `new`."""
    text = (ROOT / "glocal_exp" / file).read_text()
    assert old in text, f"{file} has no {old!r} any more; name a line that it has"
    return text.replace(old, new)


def module_of(file: str) -> str:
    return f"glocal_exp.{file.removesuffix('.py').replace('/', '.')}"


@pytest.mark.parametrize(("file", "old", "new"), NUMERIC)
def test_a_line_that_decides_a_number_counts(closure, file, old, new):
    """Its module is in the closure, and the digest is of its statements."""
    tree = ast.parse(changed(file, old, new))
    assert ast.dump(closure[module_of(file)]) != ast.dump(tree)


@pytest.mark.parametrize(("file", "old", "new"), OTHERS)
def test_a_line_that_decides_none_does_not(closure, file, old, new):
    assert changed(file, old, new)
    assert module_of(file) not in closure


@pytest.mark.parametrize(
    ("case", "counts"), [*((c, True) for c in NUMERIC[:3]), (OTHERS[0], False)]
)
def test_the_whole_hash_follows(tmp_path, case, counts):
    copied = shutil.ignore_patterns("*.npz", "__pycache__")
    shutil.copytree(ROOT / "glocal_exp", tmp_path / "glocal_exp", ignore=copied)
    modules = [*ENGINE, *GLOCAL]
    assert source_fingerprint(modules, root=tmp_path) == source_fingerprint(modules)
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "glocal_exp", other / "glocal_exp")
    (other / "glocal_exp" / case[0]).write_text(changed(*case))
    assert (source_fingerprint(modules, root=other) != source_fingerprint(modules)) == counts


def test_every_numeric_room_is_reached_and_no_other(closure):
    rooms = {name.split(".")[1] for name in closure if "." in name}
    numeric = {"data", "engine", "hypergrad", "koopman", "methods", "models", "problems"}
    numeric |= {"tasks", "types"}
    assert rooms == numeric | {"app"}
    assert {name for name in closure if name.startswith("glocal_exp.app.")} == set(ENGINE)
