"""What `run` asks of a problem and of examples of one's own: a slip ends in one sentence."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glocal_exp.engine.examples import Splits
from glocal_exp.engine.plan import Plan
from glocal_exp.errors import UserError
from glocal_exp.methods.method import SHOWN, Estimate, Measured, Moment
from glocal_exp.records import LARGEST_SEED
from glocal_exp.types import InnerProblem, InnerState


def check_problem(problem: InnerProblem, splits: Mapping[int, Splits], batch_size: int) -> None:
    """Look at what `init`, `step` and `meta_loss` give, the latter two on shapes alone.

    Raises:
        UserError: names the first that gives something else than `InnerProblem` says.
    """
    if not isinstance(problem, InnerProblem):
        raise UserError(f"{problem!r} is no problem; give an object of a subclass of InnerProblem.")
    if not splits:
        raise UserError("There are no examples of any seed; give some, as {0: Splits(...)}.")
    for seed, examples in splits.items():
        check_seed(seed)
        check_examples(examples)
    with calling("init(key)"):
        given = problem.init(jax.random.key(0))
    if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[0], InnerState):
        raise UserError(
            "init(key) should return a pair, an InnerState and the hyperparameters, not "
            f"{_words(given)}."
        )
    state, phi = given
    _check_arrays("the state that init returns", state, jnp.generic)
    _check_arrays("phi, which init returns,", phi, jnp.floating)
    examples = next(iter(splits.values()))
    batch = jax.tree.map(lambda leaf: _shape(leaf, batch_size), examples.train)
    meta = jax.tree.map(_shape, examples.for_hypergradients)
    with calling("step(...)"):
        stepped = jax.eval_shape(problem.step, state, phi, batch, jax.random.key(0))
    if not isinstance(stepped, tuple) or len(stepped) != 2:
        raise UserError(
            "step(...) should return a pair, the next InnerState and the loss, not "
            f"{_words(stepped)}."
        )
    _check_same(state, stepped[0])
    _check_scalar("the loss that step(...) returns", stepped[1])
    with calling("meta_loss(...)"):
        loss = jax.eval_shape(problem.meta_loss, state, phi, meta)
    _check_scalar("meta_loss(...)", loss)
    with calling("describe(phi)"):
        described = problem.describe(phi)
    if not isinstance(described, dict) or not all(hasattr(v, "dtype") for v in described.values()):
        raise UserError(
            "describe(phi) should return a dict of numbers or arrays by name, not "
            f"{_words(described)}."
        )


def check_method(plan: Plan, names: Sequence[str], described: Mapping[str, Any]) -> None:
    """Look at what a method makes of numbers of the shapes that it will get.

    Args:
        names: of the hyperparameters.
        described: what the problem's `describe` gives of them.

    Raises:
        UserError: it fails, or gives something else than `Method` says.
    """
    schedule, wanted, q = plan.schedule, plan.wanted, len(names)
    draw = np.random.default_rng(0).normal
    rows, trained = len(wanted.steps), len(wanted.training)
    measured = Measured(
        h=draw(size=(rows, q)),
        training=draw(size=(trained, q)),
        newest=draw(size=(rows, q)),
        sizes=1 + draw(size=(trained, q)) ** 2,
        mean=draw(size=q),
        mean_direct=draw(size=q),
        values=draw(size=rows),
        mean_value=1.0,
        sharpness=0.5,
        implicit=draw(size=q),
        distilled=draw(size=q),
        losses=draw(size=(wanted.copies, 2)),
        moves=draw(size=(wanted.copies, q)),
    )
    values = {name: float(value) for name, value in described.items() if np.ndim(value) == 0}
    moment = Moment(1, schedule.outer_steps, schedule.interval, tuple(names), values=values)
    with calling("estimate(...)"), np.errstate(all="ignore"):
        made = plan.method.estimate(measured, moment)
    if not isinstance(made, Estimate):
        raise UserError(f"estimate(...) should return an Estimate, not {_words(made)}.")
    if made.hypergradient is not None and np.shape(made.hypergradient) != (q,):
        raise UserError(
            f"estimate(...) gives a hypergradient of shape {np.shape(made.hypergradient)}, and the "
            f"hyperparameters are {q} ({', '.join(names[:SHOWN])}{', ...' * (q > SHOWN)}); give a "
            "number for each."
        )


def check_kinds(**given: tuple[Any, type]) -> None:
    """Raise `UserError` for what is given, but is not of its kind."""
    for name, (value, kind) in given.items():
        if value is not None and not isinstance(value, kind):
            raise UserError(f"{name}={value!r} is no {kind.__name__}; give one, or leave it out.")


def check_seed(seed: Any) -> None:
    """Raise `UserError` if it is none."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"seed={seed} is no whole number from 0 to {LARGEST_SEED}; give one.")


def check_examples(examples: Any) -> None:
    """Raise `UserError` for what is no `Splits`, or has splits whose arrays differ in length."""
    if not isinstance(examples, Splits):
        raise UserError(f"The examples are no Splits but {_word(examples)}; make them one.")
    for name in ("train", "validation", "test", "meta"):
        _check_lengths(name, getattr(examples, name))


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Say in one sentence what fails in a function of the user's, and in which line of it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text = next(iter(str(error).strip().splitlines()), "").rstrip(".")
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename][-1]
        place = f"{Path(own.filename).name}, line {own.lineno}"
        raise UserError(f"{what} fails ({place}): {type(error).__name__}: {text}.") from error


def _check_lengths(split: str, examples: Any) -> None:
    leaves = jax.tree_util.tree_leaves_with_path(examples)
    lengths = {_path(path): len(leaf) if np.ndim(leaf) else None for path, leaf in leaves}
    if len(set(lengths.values())) > 1 or None in lengths.values() or 0 in lengths.values():
        described = ", ".join(
            f"{path} {'has no axis' if n is None else n}" for path, n in lengths.items()
        )
        raise UserError(
            f"The {split} examples differ in number or are none ({described}); give arrays that "
            "share their leading axis."
        )


def _check_arrays(what: str, tree: Any, kind: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not isinstance(leaf, jax.Array | np.ndarray) or not jnp.issubdtype(leaf.dtype, kind):
            word = "floating-point arrays" if kind is jnp.floating else "arrays"
            raise UserError(
                f"{what} should hold {word} alone, and {_path(path)} is {leaf!r}; make it one, as "
                "jnp.asarray(...)."
            )


def _check_same(state: InnerState, stepped: Any) -> None:
    """That a step returns the state's own tree, with the same shapes and types."""
    expected, found = (
        {_path(path): _shape(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (state, stepped)
    )
    for name in [*expected, *found]:
        before, after = expected.get(name, "nothing"), found.get(name, "nothing")
        if before != after:
            raise UserError(
                f"step(...) should return a state like the one it got, and makes of {name}, "
                f"{_word(before)}, {_word(after)}."
            )
    if jax.tree.structure(state) != jax.tree.structure(stepped):
        raise UserError("step(...) should return a state like the one it got, of the same classes.")


def _check_scalar(what: str, value: Any) -> None:
    if not hasattr(value, "dtype"):
        raise UserError(f"{what} should be one floating-point number, not {_word(value)}.")
    if jnp.shape(value) or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        raise UserError(f"{what} should be one floating-point number, not {_word(value)}.")


def _shape(leaf: Any, size: int | None = None) -> jax.ShapeDtypeStruct:
    """That of an array, or of `size` of its rows."""
    shape = jnp.shape(leaf)
    dtype = leaf.dtype if jnp.issubdtype(leaf.dtype, jax.dtypes.extended) else jnp.result_type(leaf)
    return jax.ShapeDtypeStruct(shape if size is None else (size, *shape[1:]), dtype)


def _word(value: Any) -> str:
    if isinstance(value, jax.ShapeDtypeStruct):
        return f"{value.dtype.name}{list(value.shape)}"
    return value if isinstance(value, str) else type(value).__name__


def _words(value: Any) -> str:
    """What was returned, and of a tuple or list what is in it."""
    if isinstance(value, tuple | list):
        inside = ", ".join(map(_word, value))
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    return _word(value)


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path) or "it"
