"""Two hashes that decide whether a stored run still says what its config and code would say."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import resolve_name
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "glocal_exp"
ROOT = Path(__file__).parents[2]
# What changes no number of a run: sinks, storage, pictures and messages.
ROOMS = ("app", "errors", "records", "report", "stats", "store", "tracking")
ROOMS += ("engine.contract", "engine.recorder")
NOT_NUMERIC = tuple(f"{PACKAGE}.{room}" for room in ROOMS)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
UNTOLD = ("ctx", "kind", "type_comment")


def config_hash(config: Mapping[str, Any]) -> str:
    """8 hex digits of a config's content; independent of key order and of `1` against `1.0`."""
    text = json.dumps(_plain(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def source_fingerprint(
    modules: Iterable[str], *, root: Path = ROOT, exclude: Sequence[str] = NOT_NUMERIC
) -> str:
    """16 hex digits of the code that `modules` import inside their package, themselves included.

    Comments, docstrings, layout and `__version__` do not count, nor does a module that none of
    them imports. Imports are followed statically, lazy ones too; objects named by a config's
    `_target_` are not imports, so their modules belong in `modules` (`target_modules`). One of
    `modules` that there is not is a ValueError.
    """
    return _fingerprint(frozenset(modules), root, tuple(exclude))


def target_modules(config: Any) -> set[str]:
    """The modules of this package that a config's `_target_` entries name, at any depth."""
    if isinstance(config, Mapping):
        found = set().union(*map(target_modules, config.values()))
        target = config.get("_target_")
        if isinstance(target, str) and target.startswith(f"{PACKAGE}."):
            found.add([name for name in _with_parents(target) if _file(name, ROOT)][-1])
        return found
    if isinstance(config, Sequence) and not isinstance(config, str | bytes):
        return set().union(*map(target_modules, config))
    return set()


def import_closure(
    modules: Iterable[str], root: Path, exclude: Sequence[str] = ()
) -> dict[str, ast.Module]:
    """Every module that importing `modules` runs of their package, with its syntax tree."""
    closure: dict[str, ast.Module] = {}
    named = set(modules)  # what is asked for by name is not left out
    waiting = [part for name in named for part in _with_parents(name)]
    while waiting:
        name = waiting.pop()
        left_out = any(f"{name}.".startswith(f"{out}.") for out in exclude)
        if name in closure or (left_out and name not in named):
            continue
        file = _file(name, root)
        if file is None:
            raise ValueError(f"{name} is no module under {root}")
        closure[name] = _parsed(file.read_bytes())
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for target in _imports(closure[name], package):
            if target.split(".")[0] == name.split(".")[0] and _file(target, root):
                waiting += _with_parents(target)
    return closure


@cache
def _fingerprint(modules: frozenset[str], root: Path, exclude: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name, tree in sorted(import_closure(modules, root, exclude).items()):
        digest.update(f"{name}\n{_dump_module(tree)}\n".encode())
    return digest.hexdigest()[:16]


_parsed = cache(ast.parse)  # most of the closures of many runs is the same


@cache
def _dump_module(tree: ast.Module) -> str:
    return dump(tree)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _file(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split("."))
    candidates = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _with_parents(module: str) -> list[str]:
    return list(accumulate(module.split("."), "{}.{}".format))


@cache
def _imports(tree: ast.Module, package: str) -> list[str]:
    """Absolute names that may be modules; `from x import y` gives both x and x.y."""
    found = []
    for node in _running(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            found += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return found


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but the bodies of `if TYPE_CHECKING:`."""
    nodes = ast.iter_child_nodes(tree)
    if isinstance(tree, ast.If) and ast.unparse(tree.test).endswith("TYPE_CHECKING"):
        nodes = tree.orelse
    for node in nodes:
        yield node
        yield from _running(node)


def _is_version(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"


def dump(node: Any) -> str:
    """`ast.dump` without docstrings, and without empty fields: these differ by Python's version."""
    if isinstance(node, ast.AST):
        fields = {k: v for k, v in ast.iter_fields(node) if v is not None and k not in UNTOLD}
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            fields["body"] = node.body[1:]
        if isinstance(node, ast.Module):  # a release changes no number
            fields["body"] = [line for line in fields["body"] if not _is_version(line)]
        text = ",".join(f"{name}={dump(value)}" for name, value in fields.items() if value != [])
        return f"{type(node).__name__}({text})"
    if isinstance(node, list):
        return f"[{','.join(map(dump, node))}]"
    return repr(node)
