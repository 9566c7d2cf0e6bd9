"""Objects of one's own with all the tooling: `run(..., store=...)`; and as a config names them."""

import math
import os
import re
import signal
from copy import copy
from dataclasses import replace
from functools import partial
from http import HTTPMethod
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.app.named import own_sources
from glocal_exp.app.own import described, digest_of, run
from glocal_exp.engine import Hooks, LowRank, Numerics, Splits
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.problems.bound import bound
from glocal_exp.report.comparison import compare
from glocal_exp.store import find_runs
from glocal_exp.tracking import ProgressSink
from glocal_exp.types import RowSpaceProblem
from tests import ridge
from tests.app.commands import assert_same, manifest, runs
from tests.problems import images, reweighting
from tests.report.synthetic import write_run

SETTINGS = {"steps": 60, "interval": 10, "batch_size": 50, "tracker": "none"}
FUNCTION = "problem.examples._target_=tests.app.test_own_run."
NAMED = ["problem=tests.ridge.Ridge", f"{FUNCTION}examples"]


def fails(seed):
    raise RuntimeError("the disk is gone")


def takes_none():
    return Splits({}, {})


def gives_a_dict(seed):
    return {"train": seed}


def examples(seed):
    """Of each seed others."""
    noise = np.random.default_rng(seed).normal(size=50)
    train = {"x": ridge.splits.train["x"], "y": ridge.splits.train["y"] + 0.1 * noise}
    return Splits(train, ridge.splits.validation)


def stored(tmp_path, method=None, splits=ridge.splits, **settings):
    settings = SETTINGS | {"store": tmp_path, "name": "ridge"} | settings
    return run(ridge.Ridge(), splits, method or Local(), **settings)


def test_without_a_store_it_is_the_plain_iterator():
    settings = {key: SETTINGS[key] for key in ("steps", "interval", "batch_size")}
    records = list(run(ridge.Ridge(), ridge.splits, Local(), **settings))
    assert [record.outer_step for record in records] == list(range(7))


def test_a_stored_run_is_the_iterators_and_complete_the_second_time(tmp_path, capsys):
    frame = stored(tmp_path)
    records = list(run(ridge.Ridge(), ridge.splits, Local(), **SETTINGS))
    penalties = [record.hyperparameters["penalty"] for record in records]
    assert frame["hyperparameter/penalty"].tolist() == penalties
    assert set(frame["experiment"]) == {"ridge"}
    assert set(frame["method"]) == {"local"}
    assert set(frame["status"]) == {"complete"}
    path = tmp_path / "ridge" / frame["variant"][0] / "seed=0"
    assert {"manifest.json", "config.yaml", "metrics.csv"} <= {p.name for p in path.iterdir()}
    capsys.readouterr()
    assert stored(tmp_path).equals(frame)
    assert "complete already" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_by_the_same_call(tmp_path, monkeypatch, capsys, request):
    often = Numerics(segment=5, checkpoint_seconds=-1.0)
    whole = stored(tmp_path / "whole", numerics=often)

    def interrupt(sink, record):
        if record.outer_step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    # As in a terminal: a command in a shell's background ignores SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with monkeypatch.context() as patched:
        patched.setattr(ProgressSink, "record", interrupt)
        with pytest.raises(KeyboardInterrupt):
            stored(tmp_path / "cut", numerics=often)
    assert manifest(runs_of(tmp_path / "cut"))["status"] == "interrupted"
    capsys.readouterr()
    stored(tmp_path / "cut", numerics=often)
    assert "going on from step" in capsys.readouterr().out
    assert whole["status"].eq("complete").all()
    assert_same(runs_of(tmp_path / "cut"), runs_of(tmp_path / "whole"))


def runs_of(folder):
    (path,) = folder.glob("*/*/seed=0")
    return path


def test_seeds_side_by_side_have_a_directory_each(tmp_path):
    frame = stored(tmp_path, splits={seed: examples(seed) for seed in (0, 1)})
    last = frame[frame["step"] == 60].set_index("seed")["validation_loss"]
    assert last[0] != last[1]
    assert len(frame["path"].unique()) == 2


def test_numbers_of_numpy_are_plain_ones(tmp_path):
    settings = {"eval_every": np.int64(20), "stop_when_diverged": np.bool_(False)}
    frame = stored(tmp_path, splits={np.int64(3): ridge.splits}, **settings)
    same = stored(tmp_path, splits={3: ridge.splits}, eval_every=20)
    assert same.equals(frame)
    assert set(frame["seed"]) == {3}


def test_what_differs_is_stored_apart(tmp_path):
    """Of a default that is given by hand the same run."""
    changes = {}, {"steps": 50}, {"meta_optimizer": optax.adam(0.2)}
    stored(tmp_path, meta_optimizer=optax.adam(0.1))
    for number, change in enumerate(changes, start=1):
        stored(tmp_path, **change)
        assert len(list(tmp_path.glob("ridge/*"))) == number


def test_objects_are_told_apart_by_what_they_compute():
    class Scaled(ridge.Ridge):
        scale: jax.Array

    one, two = Scaled(jnp.ones(2)), Scaled(2 * jnp.ones(2))
    assert described(one) == described(Scaled(jnp.ones(2))) != described(two)
    assert described(partial(optax.sgd, 0.1)) != described(partial(optax.sgd, 0.2))
    schedules = [optax.cosine_decay_schedule(0.1, steps) for steps in (10, 20)]
    found = [described(optax.sgd(schedule)) for schedule in schedules]
    assert found[0] != found[1]
    assert described(optax.sgd(optax.cosine_decay_schedule(0.1, 10))) == found[0]


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x


@pytest.mark.parametrize("wrapped", [lambda f: f, jax.jit, partial])
def test_functions_that_no_path_leads_to_are_told_apart_by_their_text(wrapped):
    one, two = (
        lambda x: x,
        lambda x: 2 * x,
    )
    assert described(wrapped(one)) == described(wrapped(one)) != described(wrapped(two))
    scaled = [lambda x, by=by: by * x for by in (1, 2)]
    assert described(wrapped(scaled[0])) != described(wrapped(scaled[1]))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"a", "b"}, {"a", "c"}),
        (frozenset([(1, 2)]), frozenset([(1, 3)])),
        (1j, 2j),
        (b"a", b"b"),
        (Path("a"), Path("b")),
        (np.dtype("f4"), np.dtype("f8")),
        (signal.SIGINT, signal.SIGTERM),
        (HTTPMethod.GET, HTTPMethod.PUT),
        (jax.random.key(0), jax.random.key(1)),
        (jax.nn.relu, jax.nn.gelu),
        (jnp.sin, jnp.cos),
        (jnp.add, jnp.multiply),
        (np.sin, np.cos),
        (math.sin, math.cos),
        (partial(Local, 1), partial(Local, 2)),
    ],
)
def test_values_are_told_apart(one, two):
    assert digest_of(described(one)) != digest_of(described(two))
    assert described(one) == described(one if callable(one) else copy(one))


@pytest.mark.parametrize("of", [lambda scale: scale, lambda scale: scale.__call__])
def test_objects_of_plain_classes_are_told_apart_by_what_they_hold(of):
    assert described(of(Scale(1))) == described(of(Scale(1))) != described(of(Scale(2)))
    assert "tests.app.test_own_run.Scale" in own_sources(described({"own": of(Scale(1))}))


def test_the_text_of_ones_own_code_counts_and_that_of_packages_does_not():
    named = {"_target_": "tests.ridge.Ridge", "rule": {"_target_": "optax.adam"}}
    found = own_sources(named | {"method": {"_target_": "glocal_exp.methods.local.Local"}})
    assert list(found) == ["tests.ridge.Ridge"]
    other = own_sources({"_target_": "docs.templates.problem.Lasso"})
    assert found["tests.ridge.Ridge"] not in other.values()


def test_a_store_may_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (path,) = stored("~/runs")["path"].unique()
    assert Path(path).is_relative_to(tmp_path / "runs")


def test_what_a_store_does_itself_cannot_be_given(tmp_path):
    with pytest.raises(UserError, match="hooks is the store's own"):
        stored(tmp_path, hooks=Hooks())
    with pytest.raises(UserError, match="There are no examples of any seed"):
        stored(tmp_path, splits={})
    with pytest.raises(UserError, match="name=a/b becomes a folder's"):
        stored(tmp_path, name="a/b")
    with pytest.raises(UserError, match="name=ridge is of what is stored; give store"):
        stored(None)
    assert not list(tmp_path.iterdir())


def test_it_is_compared_with_runs_of_images(tmp_path):
    write_run(tmp_path, "mine", "local", 0, steps=800)
    stored(tmp_path)
    stored(tmp_path, meta_optimizer=optax.sgd(0.3))
    compared = compare(find_runs(tmp_path))
    assert compared.headline() == ["test_accuracy", "validation_loss"]
    own = [entry.settings for entry in compared.entries if entry.settings["experiment"] == "ridge"]
    assert {one["data"] for one in own} == {"its own"}
    names = sorted(one["meta_optimizer"] for one in own)
    assert names[0] == "adam"
    assert re.fullmatch(r"own-\w{6}", names[1])


def test_a_bound_problem_stays_what_it_is(tmp_path):
    task = bound(reweighting(hidden=4), images)
    assert isinstance(task, RowSpaceProblem)
    mode = LowRank(tolerance=1e-7, sizes=(8,), probes=2)
    settings = SETTINGS | {"steps": 10, "batch_size": 8, "mode": mode, "store": tmp_path}
    frame = run(task, images(0), Local(), **settings)
    assert frame["diagnostic/low_rank"].iloc[-1] > 0
    assert replace(task, detach_weights=True).detach_weights


def test_a_config_names_a_problem_and_its_examples(shell, tmp_path):
    given = [*NAMED, "tracker=none", "steps=20", "interval=10", "batch_size=50"]
    shell.done("-m", *given, "method=local", "seed=0,1", f"output_dir={tmp_path / 'a'}")
    found = runs(tmp_path / "a")
    assert set(found) == {"local/0", "local/1"}
    facts = manifest(found["local/0"])
    assert (facts["experiment"], facts["dataset"]) == ("Ridge", "tests.ridge.Ridge")
    assert set(facts["own_sources"]) == {word.split("=")[1] for word in NAMED}
    again = [f"from={found['local/0']}", "tracker=none", f"output_dir={tmp_path / 'b'}"]
    refused = shell.refused(*again)
    assert refused.endswith(f"name it in this command too, as {' '.join(NAMED)}\n")
    shell.done(*again, *NAMED)
    assert_same(runs(tmp_path / "b")["local/0"], found["local/0"])


def test_what_python_gave_is_repeated_there(shell, tmp_path):
    stored(tmp_path / "runs")
    (path,) = runs(tmp_path).values()
    refused = shell.refused(f"from={path}", "tracker=none", f"output_dir={tmp_path / 'b'}")
    assert refused.endswith("in Python, and is repeated by that call.\n")


def test_what_images_have_is_told_of_no_own_run(shell, tmp_path):
    given = [*NAMED, "tracker=none", "steps=20", "interval=10", "batch_size=50"]
    for words in (["method=local"], ["method=none", "meta_optimizer=mean_sign"]):
        shell.done(*given, *words, f"output_dir={tmp_path}")
    assert compare(find_runs(tmp_path / "runs")).keys == ["method", "meta_optimizer"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["problem=tests.ridge.Rigde"], "tests/ridge.py has no Rigde, but Ridge."),
        (["problem=ridge"], "name your own class, as problem=mymodule.MyProblem."),
        (["problem=nowhere.Ridge"], "No module named 'nowhere'"),
        (NAMED[:1], "problem.examples._target_=FUNCTION, which takes a seed and returns Splits."),
        ([NAMED[0], "problem.examples._target_=tests.ridge.laod"], "tests/ridge.py has no laod."),
        ([NAMED[0], f"{FUNCTION}FUNCTION"], "it is nothing that can be called."),
        ([NAMED[0], "problem.examples._target_=load"], "write it as module.Name."),
        (["problem=tests.app.Nothing"], "has no Nothing"),
        ([NAMED[0], f"{FUNCTION}fails"], "called with seed 0, fails (test_own_run.py, line "),
        ([NAMED[0], f"{FUNCTION}takes_none"], "TypeError: takes_none() takes 0 positional"),
        ([NAMED[0], f"{FUNCTION}gives_a_dict"], "The examples are no Splits but dict"),
        ([*NAMED, "dataset=mnist"], "dataset=mnist has no effect: problem=tests.ridge.Ridge"),
        ([*NAMED, "task.init.learning_rate=0.5"], "learning_rate=0.5 has no effect: problem="),
        ([*NAMED, "validation.subset=5"], "validation.subset=5 has no effect: problem="),
        (["problem=penalties", "model=lenet"], "model=lenet has no effect: problem=penalties"),
        ([*NAMED, "problem.problem.penlty=1"], "There is no setting problem.problem.penlty"),
    ],
)
def test_a_slip_is_one_sentence(shell, tmp_path, lines, words):
    assert words in shell.refused(*lines, "tracker=none", f"output_dir={tmp_path}")
    assert not list(tmp_path.iterdir())
