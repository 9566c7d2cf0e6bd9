"""From a config to all that a run needs: the platform, the images, and what `assemble` makes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import optax
from jax.tree_util import keystr, tree_leaves_with_path
from omegaconf import DictConfig, OmegaConf

from glocal_exp.app import assemble
from glocal_exp.app.config import plain
from glocal_exp.app.device import Device, use_device
from glocal_exp.app.instantiate import instantiate_group
from glocal_exp.app.say import say
from glocal_exp.data import ImageData, OwnData
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.engine import Loop, Plan, Splits
from glocal_exp.engine.compiled import Programs
from glocal_exp.engine.contract import calling, check_method, check_problem
from glocal_exp.studies.lab import Setting
from glocal_exp.types import InnerProblem


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, built and ready."""

    cfg: DictConfig
    choices: dict[str, str]  # the file taken from each config group
    device: Device
    data: Any  # all images, shared by the seeds, as `ImageData`; or `OwnData` of a problem
    problem: InnerProblem
    plan: Plan
    meta_optimizer: optax.GradientTransformation

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return Path(self.cfg.output_dir) / "runs"

    @cached_property
    def programs(self) -> Programs:
        """What its seeds have compiled, for those that come after them."""
        return Programs()

    def splits(self, seed: int) -> ImageSplits:
        """Training, validation and test images of one seed.

        Raises:
            UserError: when sizes do not fit, or a problem of one's own is none.
        """
        if isinstance(self.data, OwnData):
            problem: Any = self.problem
            with calling(f"The function of the examples, called with seed {seed},"):
                examples = problem.examples(seed)
            check_problem(problem, {seed: examples}, self.cfg.batch_size)
            return told_apart(self.data, examples)
        return assemble.make_splits(self.cfg, self.data, seed)

    def setting(self, seed: int) -> Setting:
        """What a study of training works with."""
        images = self.splits(seed)
        return Setting(
            self.problem,
            assemble.examples(self.cfg, images),
            self.plan,
            lambda: self.loop({seed: images}),
            self.device.settings.matmul_precision,
        )

    def loop(self, images: Mapping[int, ImageSplits], **options: Any) -> Loop:
        """The engine's loop over some seeds, each with its images; `options` as of `Loop`."""
        splits = {seed: assemble.examples(self.cfg, parts) for seed, parts in images.items()}
        options["meta_optimizer"] = self.meta_optimizer
        loop = Loop(self.problem, splits, self.plan, **options)
        for snapshot in list(loop.snapshots.values())[:1]:
            check_method(self.plan, loop.names, self.problem.describe(snapshot.phi))
        return loop


def told_apart(data: OwnData, given: Splits) -> ImageSplits:
    """Examples as they were given, any trees; told apart by their bytes."""
    flat = {
        part: {
            keystr(path, simple=True, separator="\0"): leaf
            for path, leaf in tree_leaves_with_path(getattr(given, part))
        }
        for part in ("train", "validation", "test", "meta")
    }
    info = data.splits(**flat).info
    return ImageSplits(given.train, given.validation, given.test, info, given.meta)


def build(cfg: DictConfig, choices: dict[str, str], plan: Plan | None = None) -> Experiment:
    """Platform, images, problem and plan of one job; nothing is written.

    Settings that do not fit, and data or a platform that is not there, are a `UserError`. Sizes of
    pieces in `plan`, which is the config's if it was made already, become the platform's.
    """
    device = use_device(cfg)
    assemble.use_precision(cfg, device.settings)
    if cfg.problem is not None:
        problem = assemble.own_problem(cfg)
        data = OwnData(choices.get("problem") or type(problem).__name__)
    else:
        data = load_data(cfg)
        problem = assemble.make_problem(cfg, data, device.settings)
    numerics = assemble.make_numerics(device.settings)
    return Experiment(
        cfg=cfg,
        choices=choices,
        device=device,
        data=data,
        problem=problem,
        plan=replace(plan or assemble.make_plan(cfg), numerics=numerics),
        meta_optimizer=assemble.make_meta_optimizer(cfg),
    )


def load_data(cfg: DictConfig) -> ImageData:
    """The data set from the chosen source, once for the jobs of a sweep; says which it took."""
    return _load(OmegaConf.to_yaml({"dataset": plain(cfg.dataset), "source": plain(cfg.source)}))


@lru_cache(maxsize=1)
def _load(key: str) -> ImageData:
    cfg: Any = OmegaConf.create(key)
    data = instantiate_group("source", cfg.source).load(instantiate_group("dataset", cfg.dataset))
    why = f"; {'; '.join(data.skipped)}" if data.skipped else ""
    say(f"data: {data.notice or data.title} from {data.source} ({data.place}){why}")
    return data
