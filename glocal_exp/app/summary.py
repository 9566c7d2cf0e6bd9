"""How the runs of a sweep ended: the table of `glocal compare`, in short."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from glocal_exp.app.compose import Job
from glocal_exp.app.config import seeds
from glocal_exp.app.identity import identified, place
from glocal_exp.store.load import read_run


def summary(jobs: Sequence[Job]) -> str | None:
    """What is stored of some jobs, whoever has run them; None if it is less than two runs."""
    paths = dict.fromkeys(path for job in jobs for path in _places(job.config))
    stored = [path for path in paths if path.is_dir()]
    if len(stored) < 2:
        return None
    # Only now: a run alone does not wait for matplotlib.
    from glocal_exp.report.comparison import compare
    from glocal_exp.report.formats import markdown

    compared = compare([read_run(path) for path in stored])
    if len(compared.entries) < 2:
        return None
    roots = dict.fromkeys(f"{job.config.output_dir}/runs" for job in jobs)
    command = f"`glocal compare {' '.join(roots)}` says more; `--draw` draws them."
    return f"\n{markdown(compared.sheet(short=True)).rstrip()}\n\n{command}"


def _places(cfg: DictConfig) -> Iterator[Path]:
    """Where the seeds of a config are, over the embedded images or the whole of them."""
    for source in ("files", "bundled"):
        for seed in seeds(cfg):
            yield place(Path(cfg.output_dir) / "runs", identified(cfg, source), seed)
