"""Whether figures, tables and report in results/ are those that the stored runs give."""

import io
import math
import multiprocessing
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.image import imread

from glocal_exp.report import build
from glocal_exp.report.document import write

NUMBER = re.compile(r"([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)")
NEAR = 0.02
"""Choice: how far numbers may be apart, or by this share: other processors round otherwise, which
full-rank fits enlarge."""
FEW, FAR = 0.01, 0.1
"""Choice: of a file's numbers this share may be apart by so much: in sensitive points, one of many
turns round."""
SAME_PIXELS = 0.999
"""Choice: the share of a picture that has to be equal; fonts are drawn a little differently."""


def main(repository: Path) -> int:
    """Build all of them in a temporary place, and name what differs; 1 if anything does."""
    found = []
    with TemporaryDirectory() as folder:
        fresh: dict[build.Kind, Path] = {"figure": Path(folder, "f"), "table": Path(folder, "t")}
        _build(repository, fresh)
        for kind, out in fresh.items():
            found += differences(repository / "results" / f"{kind}s", out)
        report = Path(folder) / "report"
        write.main(repository, ["--tables", str(fresh["table"]), "--out", str(report)])
        names = [path.name for path in sorted(report.iterdir())]
        found += differences(repository / "results", report, names)
    print(*found, f"{len(found)} differences from what the stored runs give", sep="\n")
    return int(bool(found))


def _build(repository: Path, places: Mapping[build.Kind, Path]) -> None:
    """Build each kind, side by side."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(places), mp_context=spawn) as pool:
        arguments = [["--out", str(out)] for out in places.values()]
        list(pool.map(build.main, places, repeat(repository), arguments))


def differences(stored: Path, fresh: Path, names: Sequence[str] = ()) -> Iterator[str]:
    """A line for each file, of these names or any, that one folder has not, or otherwise."""
    found = {path.name for folder in (stored, fresh) for path in folder.glob("*.*")}
    for name in names or sorted(found):
        if not (fresh / name).exists():
            yield f"{stored / name}: the stored runs do not give it"
        elif not (stored / name).exists():
            yield f"{stored / name}: missing"
        elif not _same(stored / name, fresh / name):
            yield f"{stored / name}: differs"


def _same(stored: Path, fresh: Path) -> bool:
    """By bytes, or numbers in the same text; pictures by pixels, PDFs by the PNG beside them."""
    one, other = stored.read_bytes(), fresh.read_bytes()
    if one == other or stored.suffix == ".pdf":
        return True
    if stored.suffix != ".png":
        words, others = (NUMBER.split(text.decode()) for text in (one, other))
        if len(words) != len(others):
            return False
        apart = [pair for pair in zip(words, others, strict=True) if not _close(*pair, NEAR)]
        return len(apart) <= FEW * len(words) and all(_close(*pair, FAR) for pair in apart)
    pixels = [np.asarray(imread(io.BytesIO(content))) for content in (one, other)]
    same_size = pixels[0].shape == pixels[1].shape
    return same_size and float(np.mean(pixels[0] == pixels[1])) >= SAME_PIXELS


def _close(one: str, other: str, by: float) -> bool:
    """Equal but for spaces and rules, which follow widths; numbers nearly."""
    if NUMBER.fullmatch(one) and NUMBER.fullmatch(other):
        a, b = (float(text.replace(",", "")) for text in (one, other))
        return math.isclose(a, b, rel_tol=NEAR, abs_tol=by)
    return re.sub(r"[\s:-]+", "", one) == re.sub(r"[\s:-]+", "", other)
