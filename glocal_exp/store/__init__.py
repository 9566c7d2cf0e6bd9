"""Run directories on disk: written by one process at a time, never torn, read as one DataFrame."""

from glocal_exp.store.directory import RunDirectory, run_path
from glocal_exp.store.fingerprint import config_hash, source_fingerprint, target_modules
from glocal_exp.store.load import StoredRun, find_runs, load_runs
from glocal_exp.store.manifest import environment, utc_now
from glocal_exp.store.status import status

__all__ = [
    "RunDirectory", "StoredRun", "config_hash", "environment", "find_runs", "load_runs", "run_path",
    "source_fingerprint", "status", "target_modules", "utc_now",
]  # fmt: skip
