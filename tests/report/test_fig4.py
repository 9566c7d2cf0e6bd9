"""Windows and delays: a cell's number is the mean over its seeds."""

import numpy as np
import pytest

from glocal_exp.report import style
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.windows import windows_and_delays
from glocal_exp.report.figures.fig4 import draw_grid

from .synthetic import overwrite, write_run

RUNS = {(40, 5, 0): 80.0, (80, 5, 0): 85.0, (80, 5, 1): 87.0, (80, 10, 0): 88.0}


def test_a_cell_is_a_mean_over_its_seeds(tmp_path):
    where = Context(tmp_path), "fig4_right", "test_accuracy"
    with pytest.raises(MissingRuns):
        windows_and_delays(*where)
    for (window, delays, seed), value in RUNS.items():
        config = {"method": {"window": window, "delays": delays}}
        path = write_run(tmp_path, "fig4_right", "glocal", seed, config=config)
        overwrite(path, "test_accuracy", [value / 100] * 5)
    with style.applied():
        _, ((axes,),) = style.panels(1, 1, 2.0)
        draw_grid(axes, windows_and_delays(*where)[1], "accuracy")
    np.testing.assert_allclose(axes.images[0].get_array().filled(np.nan), [[80, np.nan], [86, 88]])
    assert [text.get_text() for text in axes.texts] == ["80.0", "86.0\n(n = 2)", "88.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["40", "80"]
