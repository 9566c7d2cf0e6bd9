"""A problem that brings its own examples has all of the command line: no images, no network."""

from copy import deepcopy

import numpy as np
import pytest

from glocal_exp.app import assemble
from glocal_exp.app.build import told_apart
from glocal_exp.app.compose import jobs
from glocal_exp.app.config import OF_IMAGES, numeric_config
from glocal_exp.data import OwnData
from glocal_exp.engine import Splits
from tests.app.commands import assert_same, manifest, rows, runs

QUADRATIC = ["problem=noisy_quadratic", "problem.spectrum.modes=20", "tracker=none", "steps=200"]
OTHERS = {
    "evolution": "hypergradient=copies",
    "global_plan": "hypergradient=reverse",
    "glocal": "hypergradient=forward",
    "split": "meta_optimizer=mean_sign",
}


@pytest.mark.parametrize("method", OTHERS)
def test_methods_and_modes_run_on_it(shell, tmp_path, method):
    given = [*QUADRATIC, f"method={method}", OTHERS[method], f"output_dir={tmp_path}"]
    shell.done(*given, "seeds=[0,1]")
    found = runs(tmp_path)
    assert set(found) == {f"{method}/0", f"{method}/1"}
    (first, second) = (
        np.array([float(row["hypergradient/learning_rate"]) for row in rows(run)[1:]])
        for run in found.values()
    )
    assert np.isfinite(first).all()
    assert (first != second).all()  # the seed's noise
    facts = manifest(found[f"{method}/0"])
    assert facts["task"] == facts["dataset"] == facts["model"] == "noisy_quadratic"
    assert facts["status"] == "complete"
    again = shell.run(*given, "seeds=[0,1]")
    assert again.err.count("complete already") + again.out.count("complete already") == 2


def test_it_is_repeated_from_its_directory(shell, tmp_path):
    given = [*QUADRATIC, "method=local", "problem.learning_rate=0.03"]
    shell.done(*given, f"output_dir={tmp_path / 'a'}")
    stored = runs(tmp_path / "a")["local/0"]
    shell.done(f"from={stored}", "tracker=none", f"output_dir={tmp_path / 'b'}")
    repeated = runs(tmp_path / "b")["local/0"]
    assert repeated.parent.name == stored.parent.name
    assert_same(repeated, stored)


def test_what_images_would_need_does_not_count():
    def config(*overrides):
        (job,) = jobs([*QUADRATIC, *overrides], sweep=False)
        return numeric_config(job.config, "made")

    base = config()
    assert not set(OF_IMAGES) & set(base)
    (job,), (other,) = jobs(QUADRATIC, False), jobs(["model=wide_resnet", "task=adam"], False)
    job.config.update({key: other.config[key] for key in OF_IMAGES})
    assert numeric_config(job.config, "made") == base
    assert config("problem.spectrum.noise=0.2") != base
    assert config("problem.momentum=0.9") != base


def test_hypergradients_take_the_examples_that_it_brings_for_them():
    (job,) = jobs([*QUADRATIC], sweep=False)
    part, meta = {"x": np.ones((2, 1))}, {"x": np.full((2, 1), 3.0)}
    found = told_apart(OwnData("made"), Splits(part, part, None, meta))
    assert assemble.examples(job.config, found).for_hypergradients is meta
    others = told_apart(OwnData("made"), Splits(part, part, None))
    assert others.info["fingerprint"] != found.info["fingerprint"]


def test_examples_may_be_any_trees():
    def fingerprint(train, validation):
        return told_apart(OwnData("made"), Splits(train, validation)).info["fingerprint"]

    x = np.arange(6.0).reshape(3, 2)
    flat, nested = ({"x": x, "y": x}, {"x": x}), ((x, {"y": x}), {"x": [x]})
    assert fingerprint(*flat) == OwnData("made").splits(*flat, None).info["fingerprint"]
    assert fingerprint(*nested) == fingerprint(*deepcopy(nested))
    assert fingerprint(*nested) not in (fingerprint(*flat), fingerprint((x, {"y": -x}), {"x": [x]}))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("problem=nosiy_quadratic", "noisy_quadratic"),
        ("+problem._target_=glocal_exp.methods.local.Local", "no subclass of"),
        (
            "problem=noisy_quadratic problem._target_=tests.app.toy.Doubled",
            "the loss that step(...) returns should be one floating-point number, not float",
        ),
    ],
)
def test_what_is_no_such_problem_is_one_sentence(shell, tmp_path, override, words):
    base = ["method=local", "steps=200", "tracker=none", f"output_dir={tmp_path}"]
    assert words in shell.refused(*override.split(), *base)
    assert not (tmp_path / "runs").exists()
