"""How far a hypergradient follows its float64 value, by the precision that training computes in.

From the same start of an interval `h_t` is recorded at every step: in float64; as trained; from
weights moved by rounding, which is what no computation in that precision can beat; and with other
settings of the config, such as `model.compute=bfloat16`. The batches are the same in all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
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
                yield self._unit(s, variation.name, partial(origins.at, s), variation)
            for name, changes in self.variants.items():
                yield self._unit(s, name, partial(_changed, origins, s, lab, changes), BASE)

    def _unit(self, s: int, name: str, at: partial[Origin], variation: Variation) -> Unit:
        """h_t at every step of interval `s`: `h` (tau, q)."""

        def measure() -> Measurement:
            origin = at()
            row = {"s": s, "variation": name, "steps": origin.setting.plan.schedule.interval}
            row |= {"validation": self.validation or origin.validation_size}
            return Measurement([row], {"h": origin.interval(variation, self.validation)})

        return Unit(f"s{s}.{name}", measure)


def _changed(origins: Origins, s: int, lab: Lab, changes: Mapping[str, Any]) -> Origin:
    """The start of interval `s` with other settings, and the same numbers in its arrays.

    Raises:
        UserError: when the settings ask for other arrays than training has.
    """
    origin, setting = origins.at(s), lab.vary(changes)
    like, _ = jax.eval_shape(setting.problem.init, jax.random.key(lab.seed))
    leaves, structure = jax.tree.flatten(like)
    found = jax.tree.leaves(origin.state)
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in found]:
        raise UserError(
            f"study.variants: {dict(changes)} asks for other weights than training has; name "
            "settings that change how the same network computes."
        )
    state = jax.tree.unflatten(structure, found)
    return Origin(setting, work_of(setting, lab.seed), lab.seed, s, state, origin.phi)
