import hashlib
import json

import numpy as np
import pytest
from omegaconf import OmegaConf

from glocal_exp.store.fingerprint import (
    ROOT,
    config_hash,
    import_closure,
    source_fingerprint,
    target_modules,
)

FILES = {
    "pkg/__init__.py": '"""A package."""\n',
    "pkg/engine.py": '''"""The loop."""
import numpy as np
from pkg import errors
from pkg.tools.maths import twice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkg.report import draw


def run(x):
    """Runs."""
    from .lazy import late  # only when needed
    return late(twice(x))
''',
    "pkg/lazy.py": "from . import constants\n\n\ndef late(x):\n    return x + constants.ONE\n",
    "pkg/constants.py": "ONE = 1\n",
    "pkg/errors.py": "class Wrong(Exception):\n    pass\n",
    "pkg/report.py": "def draw():\n    return 1\n",
    "pkg/tools/__init__.py": "",
    "pkg/tools/maths.py": "from ..tools.deep import factor\ntwice = lambda x: factor * x\n",
    "pkg/tools/deep.py": "factor = 2\n",
    "pkg/models/__init__.py": "",
    "pkg/models/lenet.py": "size = 5\n",
}


@pytest.fixture
def fingerprint(tmp_path):
    """The fingerprint of the package after edits: {path: (old, new)}, or {path: new file}."""
    counter = iter(range(100))

    def write(edits=(), modules=("pkg.engine",), exclude=("pkg.errors",)):
        root = tmp_path / str(next(counter))
        files = dict(FILES)
        for name, edit in dict(edits).items():
            if isinstance(edit, tuple):
                assert edit[0] in files[name]
                files[name] = files[name].replace(*edit)
            else:
                files[name] = edit
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return source_fingerprint(modules, root=root, exclude=exclude)

    return write


@pytest.mark.parametrize(
    "edits",
    [
        {"pkg/models/new.py": "size = 7\n"},
        {"pkg/models/lenet.py": ("5", "6")},
        {"pkg/report.py": ("return 1", "return 2")},
        {"pkg/errors.py": ("Wrong", "Worse")},
        {"pkg/engine.py": ("The loop.", "The outer loop.")},
        {"pkg/engine.py": ('    """Runs."""\n', "")},
        {"pkg/engine.py": ("  # only when needed", "  # late")},
        {"pkg/engine.py": ("return late(twice(x))", "return late(\n        twice(x),\n    )")},
        {"pkg/__init__.py": '"""A package."""\n__version__ = "1.0"\n'},
        {"pkg/tools/deep.py": ("factor = 2", "# a comment\nfactor = 0b10\n")},
    ],
    ids=lambda edits: " ".join(edits),
)
def test_what_changes_no_number_changes_no_fingerprint(fingerprint, edits):
    assert fingerprint(edits) == fingerprint()


@pytest.mark.parametrize(
    "edits",
    [
        {"pkg/engine.py": ("twice(x)", "twice(x + 1)")},
        {"pkg/lazy.py": ("x +", "x -")},
        {"pkg/constants.py": ("1", "2")},
        {"pkg/tools/maths.py": ("* x", "/ x")},
        {"pkg/tools/deep.py": ("2", "2.0")},
        {"pkg/tools/__init__.py": "import os\n"},
        {"pkg/__init__.py": '"""A package."""\nX = 1\n'},
    ],
    ids=lambda edits: " ".join(edits),
)
def test_what_is_imported_changes_it(fingerprint, edits):
    assert fingerprint(edits) != fingerprint()


def test_the_modules_asked_for_count(fingerprint):
    assert fingerprint(modules=["pkg.engine", "pkg.models.lenet"]) != fingerprint()
    one = {"pkg/models/lenet.py": ("5", "6")}
    both = ["pkg.models.lenet", "pkg.engine"]
    assert fingerprint(one, modules=both) != fingerprint(modules=both)
    assert fingerprint(modules=both) == fingerprint(modules=both[::-1])


def test_a_module_that_does_not_exist(fingerprint):
    with pytest.raises(ValueError, match=r"pkg\.nowhere is no module"):
        fingerprint(modules=["pkg.nowhere"])


def test_the_closure_is_what_python_imports(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    closure = import_closure(["pkg.engine"], tmp_path)
    assert sorted(closure) == [
        "pkg", "pkg.constants", "pkg.engine", "pkg.errors", "pkg.lazy", "pkg.tools",
        "pkg.tools.deep", "pkg.tools.maths",
    ]  # fmt: skip


def test_our_own_package_leaves_its_consumers_out():
    closure = import_closure(["glocal_exp.koopman.dmd"], ROOT)
    assert "glocal_exp.koopman.spectrum" in closure
    assert not any(name.startswith(("glocal_exp.report", "glocal_exp.store")) for name in closure)
    assert len(source_fingerprint(["glocal_exp.koopman.dmd"])) == 16


def test_the_same_text_on_every_python(fingerprint):
    """Python 3.11 to 3.13 print different `ast.dump`s; this digest must not depend on them."""
    assert fingerprint(modules=["pkg.constants"]) == _by_hand(
        "pkg\nModule()\npkg.constants\n"
        "Module(body=[Assign(targets=[Name(id='ONE')],value=Constant(value=1))])\n"
    )


def _by_hand(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_config_hash_is_of_the_content():
    config = {
        "steps": 2000,
        "task": {"init": {"learning_rate": 0.01, "momentum": 0.5}},
        "x": [1, 2],
    }
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    assert config_hash(config) == hashlib.sha256(text.encode()).hexdigest()[:8]
    assert config_hash(OmegaConf.create(config)) == config_hash(config)
    turned = {"x": (1.0, np.int64(2)), "task": config["task"], "steps": 2000.0}
    assert config_hash(turned) == config_hash(config)


@pytest.mark.parametrize(
    "other",
    [
        {"a": 1, "b": None},
        {"a": 2},
        {"a": "1"},
        {"a": True},
        {"a": 1 + 1e-15},
        {"b": 1},
        {"a": [1]},
    ],
)
def test_config_hash_tells_contents_apart(other):
    assert config_hash(other) != config_hash({"a": 1})


def test_targets_are_found_at_any_depth():
    config = {
        "method": {"_target_": "glocal_exp.koopman.dmd.HankelDMD", "rank": "full"},
        "list": [{"_target_": "glocal_exp.records.Costs.__add__"}, {"_target_": "optax.adam"}],
    }
    assert target_modules(config) == {"glocal_exp.koopman.dmd", "glocal_exp.records"}
