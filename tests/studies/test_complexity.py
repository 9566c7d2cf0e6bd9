import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.engine.compiled import Programs
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.glocal import Glocal
from glocal_exp.methods.local import Local
from glocal_exp.studies.complexity import Blocks, Complexity, Size, measure_run, start
from glocal_exp.studies.lab import Lab

SMALL = Complexity(
    base={"outer_steps": 2, "interval": 5, "parameters": 64, "hyperparameters": 2},
    sweeps={"S": {"outer_steps": [1, 3], "interval": [9, 3]}, "q": {"hyperparameters": [2, 4]}},
    grid={"parameters": [64, 128]},
    repeats=2,
    window=0.8,
)
NUMBER = 8  # bytes


@pytest.fixture(scope="module")
def rows():
    units = SMALL.units(Lab(0, lambda _: pytest.fail("the study has a problem of its own")))
    return {unit.name: unit.measure().rows for unit in units}


def of(rows, method, **where):
    return [
        row for row in rows
        if row["method"] == method and all(row[name] == value for name, value in where.items())
    ]  # fmt: skip


def test_each_block_has_its_own_rate():
    problem = Blocks(64, 4)
    state, phi = problem.init(jax.random.key(0))
    batch = {"x": jnp.ones((8, 16)), "y": jnp.zeros((8, 1))}
    moved, _ = problem.step(state, phi.at[1].set(-jnp.inf), batch, jax.random.key(1))
    change = np.ravel(moved.params - state.params) != 0
    assert change.tolist() == [True] * 16 + [False] * 16 + [True] * 32


def test_sweeps_hold_what_they_say(rows):
    assert list(rows) == ["sweep-S", "sweep-q", "grid"]
    assert {(row["S"], row["T"], row["tau"]) for row in rows["sweep-S"]} == {(1, 9, 9), (3, 9, 3)}
    assert {(row["p"], row["q"]) for row in rows["sweep-q"]} == {(64, 2), (64, 4)}
    assert len(rows["sweep-q"]) == 2 * 2 * 3  # repeats, sizes, methods
    assert len(rows["grid"]) == 2 * 3
    assert all(row["cpu_seconds"] > 0 for name in rows for row in rows[name])


def test_tangent_steps_are_those_of_the_methods(rows):
    for row in [row for name in rows for row in rows[name]]:
        played = row["T"] * (row["S"] + 1) / 2 if row["method"] == "global" else row["T"]
        assert row["tangent_steps"] == played
    first = of(rows["sweep-q"], "glocal")[0]
    assert first["validation_gradients"] == 2 * 4  # 0.8 of 5 steps, in two outer steps


def test_what_the_loop_holds_is_counted(rows):
    """A hypergradient and its loss for local, sigma of them for glocal, for global a state too."""
    p, q = 64, 4
    assert of(rows["sweep-q"], "local", q=q)[0]["held_bytes"] == (q + 1) * NUMBER
    assert of(rows["sweep-q"], "glocal", q=q)[0]["held_bytes"] == 4 * (q + 1) * NUMBER
    step_count = jax.random.key_data(jax.random.key(0)).dtype.itemsize * 2  # one 64-bit integer
    # All of it is there before h_T joins it.
    kept = p * NUMBER + step_count
    assert of(rows["sweep-q"], "global", q=q)[0]["held_bytes"] in (kept, kept + (q + 1) * NUMBER)


def test_memory_holds_the_tangents(rows):
    small, large = (of(rows["sweep-q"], "local", q=q)[0]["program_bytes"] for q in (2, 4))
    # Z goes in and comes out, two more rows of p numbers each.
    assert large - small >= 2 * 2 * 64 * NUMBER


def test_programs_are_compiled_once_for_all_methods():
    size = Size(1, 4, 64, 2)
    programs = Programs()
    measure_run(size, Local(), programs)
    traces = programs.traces
    glocal = Glocal(
        3, 2, 1, SMALL._methods(4)["glocal"].dmd, SMALL._methods(4)["glocal"].steady_state
    )
    for method in (Global(), glocal):
        measure_run(size, method, programs)
    assert programs.traces == traces


def test_a_run_with_programs_of_another_is_the_same():
    size = Size(2, 4, 64, 2)
    fresh = start(size, Local())
    expected = [record.hypergradient for record in fresh]
    again = start(size, Local(), programs=fresh.work.programs)
    assert [record.hypergradient for record in again] == expected
    assert expected[-1]
