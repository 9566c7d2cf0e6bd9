"""Windows and delays: a cell's number is the mean over its seeds."""

from dataclasses import replace

import numpy as np
import pytest

from glocal_exp.report import style
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.objects import load

from .synthetic import CONFIGS, write_run
from .test_claims import overwrite

RUNS = {(40, 5, 0): 80.0, (80, 5, 0): 85.0, (80, 5, 1): 87.0, (80, 10, 0): 88.0}


def test_a_cell_is_a_mean_over_its_seeds(tmp_path):
    maker = replace(load(CONFIGS / "figure" / "fig4_right.yaml"), column="test_accuracy")
    with pytest.raises(MissingRuns):
        maker.draw(Context(tmp_path))
    for (window, delays, seed), value in RUNS.items():
        config = {"method": {"window": window, "delays": delays}}
        path = write_run(tmp_path, "fig4_right", "glocal", seed, config=config)
        overwrite(path, "test_accuracy", [value / 100] * 5)
    with style.applied():
        axes = maker.draw(Context(tmp_path)).figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array().filled(np.nan), [[80, np.nan], [86, 88]])
    assert [text.get_text() for text in axes.texts] == ["80.00", "86.00\n(2 seeds)", "88.00"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["40", "80"]
