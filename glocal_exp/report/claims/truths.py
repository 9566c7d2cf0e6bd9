"""Claims about the signs that estimates from one interval have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.claims.criterion import LEVEL, Criterion, Finding, holm, verdict
from glocal_exp.report.estimators import load_estimator, settings_of
from glocal_exp.report.truth_points import points, scores

COLUMNS = ["truth", "hyperparameter", "point", "estimator", "right"]


@dataclass(frozen=True)
class RightMoreOften(Criterion):
    """Whether an estimate has the sign of a derivative more often than each of others, and chance.

    By a sign test over the derivatives whose sign one of two alone has (McNemar's, exact), and by
    one of whether it is right, corrected together by Holm. Derivatives by two hyperparameters, and
    at two intervals of one training, count as independent.
    """

    truth: str  # which derivative of the final loss
    moved: Sequence[str]  # by which hyperparameters
    # subject, others: files of configs/estimator
    subject: str
    others: Sequence[str]

    def judge(self, context: Context) -> Finding:
        found, _ = points(context)
        made = [load_estimator(context.configs, name) for name in (self.subject, *self.others)]
        if not all(one.fits(point) for one in made for point in found):
            raise MissingStudy("truths")
        rows: Any = scores(found, made).reindex(columns=COLUMNS)
        rows = rows[(rows["truth"] == self.truth) & rows["hyperparameter"].isin(self.moved)]
        if rows.empty:
            raise MissingStudy("truths")
        right = rows.pivot(columns="estimator", index=["point", "hyperparameter"], values="right")
        right = right[[one.label for one in made]]
        own, rivals = right.to_numpy()[:, :1], right.to_numpy()[:, 1:]
        apart = np.hstack([own - rivals, 2 * own - 1])  # 1, 0 or -1
        more, less = (apart > 0).sum(axis=0), (apart < 0).sum(axis=0)
        alone = zip(more.tolist(), (more + less).tolist(), strict=True)
        tests: Any = [binomtest(k, n).pvalue if n else 1.0 for k, n in alone]
        sure = holm(tests) < LEVEL
        counts = "; ".join(f"{count:.0f} ({label})" for label, count in right.sum().items())
        found_so = verdict((sure & (more > less)).all(), (sure & (more < less)).any())
        size = f"study truths, {settings_of(found)}"
        return Finding(found_so, f"right of {len(right)}: {counts}", size)
