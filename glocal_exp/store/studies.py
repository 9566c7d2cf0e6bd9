"""Studies read back: the rows of every unit that is stored."""

from pathlib import Path

import pandas as pd

from glocal_exp.store.metrics import read_frame
from glocal_exp.store.status import MANIFEST, read_manifest

UNITS = "units"


def load_study(root: str | Path, study: str) -> pd.DataFrame:
    """All rows of a study's stored units, with the columns `seed`, `unit` and `folder`.

    `folder` is the path of the study directory. No study is an empty frame.
    """
    frames = []
    for manifest in sorted((Path(root) / study).glob(f"*/*/{MANIFEST}")):
        for file in sorted((manifest.parent / UNITS).glob("*.csv")):
            frame = read_frame(file)
            frame["unit"], frame["folder"] = file.stem, str(manifest.parent)
            frame["seed"] = (read_manifest(manifest.parent) or {}).get("seed")
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
