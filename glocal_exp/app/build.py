"""From a config to all that a run needs: the platform, the images, and what `assemble` makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from glocal_exp.app.config import plain
from glocal_exp.app.device import Device, use_device
from glocal_exp.app.instantiate import instantiate_group
from glocal_exp.app.say import say
from glocal_exp.data import ImageData
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.tracking import Sink

if TYPE_CHECKING:  # JAX is slow to import, and a mistake should not wait for it
    import optax

    from glocal_exp.engine import Hooks, Loop, Plan
    from glocal_exp.types import InnerProblem


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, built and ready.

    Attributes:
        choices: the file taken from each config group.
        data: all images; shared by the seeds.
    """

    cfg: DictConfig
    choices: dict[str, str]
    device: Device
    data: ImageData
    problem: "InnerProblem"
    plan: "Plan"
    meta_optimizer: "optax.GradientTransformation"

    def splits(self, seed: int) -> ImageSplits:
        """Training, validation and test images of one seed; `UserError` if sizes do not fit."""
        from glocal_exp.app.assemble import make_splits

        return make_splits(self.cfg, self.data, seed)

    def loop(
        self,
        parts: Mapping[int, ImageSplits],
        hooks: "Hooks | None" = None,
        checkpoints: Mapping[int, Sequence[bytes]] | None = None,
    ) -> "Loop":
        """The engine's loop over some seeds, each with its images."""
        from glocal_exp.app.assemble import examples
        from glocal_exp.engine import Loop

        return Loop(
            self.problem,
            {seed: examples(self.cfg, of_seed) for seed, of_seed in parts.items()},
            self.plan,
            meta_optimizer=self.meta_optimizer,
            hooks=hooks,
            checkpoints=checkpoints,
        )


def build(cfg: DictConfig, choices: dict[str, str], plan: "Plan | None" = None) -> Experiment:
    """Platform, images, problem and plan of one job; nothing is written.

    Args:
        plan: the config's, if it was made already; its sizes of pieces become the platform's.

    Raises:
        UserError: for settings that do not fit, and for data or a platform that is not there.
    """
    from glocal_exp.app import assemble

    device = use_device(cfg)
    assemble.use_precision(cfg, device.settings)
    data = _load_data(
        OmegaConf.to_yaml({"dataset": plain(cfg.dataset), "source": plain(cfg.source)})
    )
    numerics = assemble.make_numerics(device.settings)
    return Experiment(
        cfg=cfg,
        choices=choices,
        device=device,
        data=data,
        problem=assemble.make_problem(cfg, data, device.settings),
        plan=replace(plan or assemble.make_plan(cfg), numerics=numerics),
        meta_optimizer=assemble.make_meta_optimizer(cfg),
    )


def build_tracker(cfg: DictConfig) -> Sink:
    """The tracker that the config names."""
    return instantiate_group("tracker", cfg.tracker)


@lru_cache(maxsize=1)
def _load_data(key: str) -> ImageData:
    """The data set from the chosen source, once for the jobs of a sweep; says which it took."""
    cfg: Any = OmegaConf.create(key)
    data = instantiate_group("source", cfg.source).load(instantiate_group("dataset", cfg.dataset))
    why = f"; {'; '.join(data.skipped)}" if data.skipped else ""
    say(f"data: {data.notice or data.title} from {data.source} ({data.place}){why}")
    return data
