"""What a config names that is no part of this package: a problem by its dotted path, its source."""

import ast
import contextlib
import hashlib
import inspect
import os
import sys
import sysconfig
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.utils import get_object

from glocal_exp.app.config import targets
from glocal_exp.app.instantiate import signature_of

BOUND = "glocal_exp.problems.bound.bound"
EXAMPLES = "problem.examples._target_"  # where the function is named that has a problem's examples
INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib"))
INSTALLED += (Path(__file__).parents[1],)
PROMPT = "__main__"
PLAIN = (bool, int, float, str, type(None))


def offer_problems(overrides: Sequence[str]) -> set[str]:
    """Make `problem=package.module.Class` a choice, with the class's own settings; their modules.

    Modules are looked for in the working directory too.

    Raises:
        UserError: when there is no such class.
    """
    lines = [line.removeprefix("problem=") for line in overrides if line.startswith("problem=")]
    paths = [path for line in lines for path in line.split(",") if "." in path.strip(".")]
    if paths and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for path in paths:
        node = {"problem": _node(path), "experiment": path.rpartition(".")[2]}
        ConfigStore.instance().store(path, node, group="problem", package="_global_")
    return {path.rpartition(".")[0] for path in paths}


def _node(path: str) -> dict[str, Any]:
    """What a config says of a class: its settings with their defaults, `???` where it has none."""
    kind, parameters = signature_of(path, "problem")
    node: dict[str, Any] = {"_target_": path}
    for name, entry in parameters.items():
        default = "???" if entry.default is entry.empty else entry.default
        if isinstance(default, PLAIN):
            node[name] = default
    if not inspect.isclass(kind) or hasattr(kind, "examples"):
        return node
    examples = {"_target_": "???", "_partial_": True}
    return {"_target_": BOUND, "problem": node, "examples": examples}


def own_sources(config: Any) -> dict[str, str]:
    """By dotted path, digests of the code that a config names outside of installed packages."""
    found = {}
    for path in set(targets(config)):
        with contextlib.suppress(Exception):  # made by hand in a function, or its module is gone
            found[path] = own_source(get_object(path))
    return {path: digest for path, digest in found.items() if digest}


def own_source(named: Any) -> str | None:
    """A digest of its text, of a class with its bases'; None if it is of an installed package.

    What that calls elsewhere in its module does not count.
    """
    parts = [part for part in getattr(named, "__mro__", [named]) if is_own(part)]
    text = "\n".join(map(_text, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else None


def is_own(named: Any) -> bool:
    """Whether a class or function is of no installed package."""
    if _is_typed(named):
        return True
    try:
        file = Path(inspect.getfile(named)).resolve()
    except (OSError, TypeError):  # built in
        return False
    return not any(file.is_relative_to(folder) for folder in INSTALLED)


def _text(named: Any) -> str:
    """Its code without comments, docstrings and layout; the same for every version of Python."""
    if _is_typed(named):  # which has no text to be relied on
        functions = inspect.getmembers(named, inspect.isfunction)
        own = [(n, _compiled(of.__code__)) for n, of in functions if of.__module__ == PROMPT]
        return repr(own)
    from glocal_exp.store.fingerprint import dump  # a mistake does not wait for pandas

    try:
        text = textwrap.dedent(inspect.getsource(named))
    except OSError:
        return repr(_compiled(named.__code__)) if inspect.isfunction(named) else ""
    try:
        return dump(ast.parse(text))
    except SyntaxError:  # of a function within a line
        return text


def _is_typed(named: Any) -> bool:
    """Whether it is a class of a notebook, or of a prompt."""
    file = getattr(sys.modules[PROMPT], "__file__", "")
    return inspect.isclass(named) and named.__module__ == PROMPT and not Path(file).is_file()


def _compiled(code: CodeType) -> list[Any]:
    """What it does, wherever it was typed."""
    parts = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code, code.co_names, parts]
