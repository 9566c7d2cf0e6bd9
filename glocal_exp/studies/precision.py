"""How far a hypergradient follows its float64 value, by the precision that training computes in.

From the same start of an interval `h_t` is recorded at every step: in float64; as trained; from
weights moved by rounding, which is what no computation in that precision can beat; and with other
settings of the config, such as `model.compute=bfloat16`. The batches are the same in all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax

from glocal_exp.errors import UserError
from glocal_exp.studies.lab import Lab, Measurement, Unit
from glocal_exp.studies.origin import Origin, Origins, work_of
from glocal_exp.studies.variation import BASE, Variation, Varied


@dataclass(frozen=True, kw_only=True)
class Precision(Varied):
    """Settings of the study; `configs/study/precision.yaml` explains them."""

    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    validation: int | None = None

    def units(self, lab: Lab) -> Iterable[Unit]:
        origins = Origins(lab)
        for s in sorted(self.outer_steps):
            for variation in self.variations():
                yield origins.unit(s, variation.name, self._measure, variation.name, variation)
            for name, changes in self.variants.items():
                yield origins.unit(s, name, self._measure_changed, name, lab, changes)

    def _measure(self, origin: Origin, name: str, variation: Variation = BASE) -> Measurement:
        """h_t at every step of the interval: `h` (tau, q)."""
        row = {"s": origin.outer_step, "variation": name}
        row |= {"steps": origin.setting.plan.schedule.interval}
        row |= {"validation": self.validation or origin.validation_size}
        return Measurement([row], {"h": origin.interval(variation, self.validation)})

    def _measure_changed(
        self, origin: Origin, name: str, lab: Lab, changes: Mapping[str, Any]
    ) -> Measurement:
        """The same with other settings, from the same numbers in the arrays of the start."""
        setting = lab.build(changes)
        like, _ = jax.eval_shape(setting.problem.init, jax.random.key(lab.seed))
        leaves, structure = jax.tree.flatten(like)
        found = jax.tree.leaves(origin.state)
        if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in found]:
            raise UserError(
                f"study.variants: {dict(changes)} asks for other weights than training has; name "
                "settings that change how the same network computes."
            )
        state, work = jax.tree.unflatten(structure, found), work_of(setting, lab.seed)
        return self._measure(replace(origin, setting=setting, work=work, state=state), name)
