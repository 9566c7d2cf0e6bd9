"""When two candidates count as doing the same work."""

import numpy as np
import pytest

from glocal_exp.bench.comparison import Candidate, Comparison, Disagreement, check, disagreements

OUTCOME = {
    "losses": np.array([2.0, 1.0]),
    "conv1.weight gradients": np.array([3.0, 0.0]),
    "conv1.bias gradients": np.array([4.0]),
}


def test_kinds_of_results_are_compared_as_whole_vectors():
    small = OUTCOME | {"conv1.weight gradients": np.array([3.0, 4e-3])}  # 8e-4 of the norm 5
    assert disagreements(small, OUTCOME) == []
    large = OUTCOME | {"conv1.bias gradients": np.array([4.05])}
    assert disagreements(large, OUTCOME) == ["gradients differ by 1.0e-02"]


def test_what_is_not_a_number_agrees_with_nothing():
    broken = OUTCOME | {"losses": np.array([np.nan, 1.0])}
    assert disagreements(broken, OUTCOME) == ["losses differ by nan"]


def test_results_that_are_missing_are_no_agreement():
    (sentence,) = disagreements(OUTCOME, {"losses": OUTCOME["losses"]})
    assert "conv1.bias gradients" in sentence
    assert disagreements({}, {}) != []


def test_candidates_are_compared_with_the_first_that_has_an_outcome():
    def candidate(name, outcome):
        return Candidate(name, lambda: None, outcome)

    other = OUTCOME | {"losses": np.array([2.0, 1.1])}
    same = (candidate("silent", None), candidate("a", lambda: OUTCOME))
    check(Comparison("a step", (*same, candidate("b", lambda: OUTCOME))))
    with pytest.raises(Disagreement, match=r"a step, c: losses differ by"):
        check(Comparison("a step", (*same, candidate("c", lambda: other))))
