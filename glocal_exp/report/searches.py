"""Searches over constant hyperparameters, beside constants from starts that nobody has chosen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context
from glocal_exp.stats import mean_interval
from glocal_exp.store.files import read_manifest
from glocal_exp.store.studies import load_study, study_config

STUDY = "search"


def searched(
    context: Context, setting: tuple[str, int], trials: Sequence[int], constant: pd.Series
) -> list[dict[str, Any]]:
    """A row a search and number of trials, with columns as of `starts.gains`.

    What a search comes to is the test accuracy of its best training by validation. It has no start,
    and no times: constants' may be of another machine.

    Args:
        setting: experiment and steps that the searches' trainings have.
        trials: after how many trainings.
        constant: percent by seed that constants end with.
    """
    frame = load_study(context.studies, STUDY) if trials else pd.DataFrame()
    trained: Any
    rows = []
    for folder, trained in frame.groupby("folder") if len(frame) else ():
        config = study_config(str(folder))
        if (config.experiment, config.steps) != setting:
            continue
        choices = (read_manifest(Path(str(folder))) or {}).get("choices") or {}
        kind = choices.get(f"{STUDY}@study", STUDY)
        for count in trials:
            of = trained[trained["trial"] < count]
            if len(of) == count:
                end, seed = 100 * of["chosen_test_accuracy"].iloc[-1], int(of["seed"].iloc[0])
                rows.append({"method": kind, "cost": float(count), "seed": seed, "end": end})
    found = pd.DataFrame(rows, columns=["method", "cost", "seed", "end"])
    found = found.join(constant.rename("constant"), on="seed", how="inner")
    summary = []
    of: Any
    for (kind, cost), of in found.groupby(["method", "cost"]):  # pyright: ignore
        mean = mean_interval(of["end"] - of["constant"])
        summary.append({
            "method": kind, "cost": cost, "seconds": np.nan, "gain": mean.value, "low": mean.low,
            "high": mean.high, "reach": np.nan, "never": np.nan, "runs": len(of), "starts": 0,
            "seeds": len(of),
        })  # fmt: skip
    return summary
