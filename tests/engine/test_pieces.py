"""How the work is cut changes neither numbers nor, however long the run, what is compiled."""

import numpy as np
import pytest

from glocal_exp.engine import Forward, Hooks, Numerics
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.local import Local
from glocal_exp.methods.window_mean import WindowMean
from tests.engine.runs import METHODS, SPLITS, begin, by_seed, close, vector
from tests.problems import Descent, Noisy

KEEP = Hooks(keep=lambda s: True)
# The same sums in another order, over 18 steps and two meta steps.
ROUNDING = 1e-10


def agree(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert (x.seed, x.step, x.costs) == (y.seed, y.step, y.costs)
        close(vector(x.metrics), vector(y.metrics), ROUNDING)
        close(vector(x.hyperparameters), vector(y.hyperparameters), ROUNDING)
        close(vector(x.hypergradient), vector(y.hypergradient), ROUNDING)
        close(x.arrays.get("trajectory", 0), y.arrays.get("trajectory", 0), ROUNDING)


@pytest.mark.parametrize(("interval", "pieces"), [(6, [3, 3]), (5, [3, 2])])
@pytest.mark.parametrize("method", [WindowMean(4, 1), Global()])
def test_segments_of_any_length_give_the_same(method, interval, pieces):
    assert Numerics(segment=3).pieces(interval) == pieces
    runs = [
        list(
            begin(
                method=method, steps=3 * interval, interval=interval, numerics=Numerics(segment=n)
            )
        )
        for n in (3, 1)
    ]
    agree(runs[0], runs[1])


def test_chunks_give_the_same():
    # 17 validation and 11 test examples: no chunk divides them.
    chunks = {"validation_chunk": 5, "evaluation_chunk": 4, "chunks_at_once": 2}
    runs = [
        list(begin(method=METHODS["window_mean"], mode=mode, numerics=n, hooks=KEEP))
        for mode, n in (
            (Forward(), Numerics(segment=3)),
            (Forward(chunk=2), Numerics(segment=3, **chunks)),
        )
    ]
    agree(runs[0], runs[1])


@pytest.mark.parametrize("name", ["window_mean", "global"])
def test_seeds_side_by_side_are_the_seeds_one_by_one(name):
    together = list(begin(splits=SPLITS, method=METHODS[name], hooks=KEEP))
    assert [record.seed for record in together[:4]] == [0, 1, 0, 1]
    for seed, splits in SPLITS.items():
        alone = begin(splits=splits, method=METHODS[name], seed=seed, hooks=KEEP)
        agree(by_seed(together, seed), list(alone))
    a, b = by_seed(together, 0)[-1], by_seed(together, 1)[-1]
    assert abs(a.metrics["test_loss"] - b.metrics["test_loss"]) > 1e-3


def test_a_run_compiles_as_much_however_long_it_is():
    short = begin(Descent(), method=Local(), steps=12, share=False)
    records = list(short)
    programs = short.work.programs
    # Training, a meta step, and an evaluation for each of two sizes.
    assert programs.traces == 4
    compiling = [record.compile_seconds for record in records]
    assert min(compiling[:2]) > 0
    assert compiling[2] == 0
    assert sum(compiling) == pytest.approx(programs.compile_seconds)
    # A second against a millisecond: the time of training is without that of compiling.
    assert records[1].seconds < compiling[1]

    def more(**settings):
        loop = begin(Descent(), method=Global(), share=False, **settings)
        loop.work.programs._compiled = dict(programs._compiled)
        assert len(list(loop)) == 11
        return loop.work.programs.traces

    assert more(steps=60) == 0
    assert more(steps=50, interval=5) == 1  # segments of 3 and of 2


def test_random_numbers_do_not_depend_on_the_pieces():
    noisy = Noisy("sgd")
    runs = [
        list(begin(noisy, method=METHODS["none"], numerics=Numerics(segment=n))) for n in (3, 1)
    ]
    agree(runs[0], runs[1])
    assert np.isfinite(runs[0][-1].metrics["train_loss"])
