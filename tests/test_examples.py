"""The worked problems of docs/examples, small; at their own size where that takes a minute."""

import numpy as np
import pytest

from docs.examples import cleaning, ridge, training_loop
from glocal_exp.methods.local import Local
from glocal_exp.methods.none import NoHPO
from tests.app.commands import manifest, runs


def test_ridge_finds_the_penalty_of_the_closed_form(tmp_path):
    found, error = ridge.main(tmp_path, steps=3000)
    best, least = ridge.best_penalty(ridge.Ridge().examples(0))
    # Adam's steps of 0.1 settle slowly, and the minimum is flat.
    assert found == pytest.approx(best, rel=0.1)
    assert error == pytest.approx(least, rel=1e-4)


def test_most_wrong_labels_are_found():
    found, precision, _ = cleaning.main(steps=200, problem=cleaning.Cleaning(train=1000))
    assert found > 0.5  # of the half that is wrong
    assert precision > 0.8


@pytest.mark.slow
def test_they_give_what_their_documents_say():
    found, precision, accuracy = cleaning.main()
    assert (found > 0.8, precision > 0.9, accuracy > 0.75) == (True, True, True)


@pytest.mark.slow
def test_a_training_loop_of_ones_own_is_tuned(capsys):
    accuracy, tuned = training_loop.main(Local(), steps=400)
    plain, untuned = training_loop.main(NoHPO(), steps=400)
    assert accuracy > plain > 0.5
    assert tuned["rate"] > untuned["rate"] == pytest.approx(0.01)
    assert len(capsys.readouterr().out.splitlines()) == 2 * 4


def test_the_command_line_names_one(shell, tmp_path):
    given = ["problem=docs.examples.ridge.Ridge", "problem.penalty=3", "batch_size=60"]
    given += ["steps=60", "interval=30", "method=local", "tracker=none", f"output_dir={tmp_path}"]
    done = shell.run(*given)
    assert done.code == 0, done.err
    assert manifest(runs(tmp_path)["local/0"])["own_sources"].keys() == {given[0].split("=")[1]}


def test_wrong_labels_are_wrong():
    train = cleaning.Cleaning(train=1000).examples(0).train
    assert np.mean(train["y"] != train["true"]) == 0.5
