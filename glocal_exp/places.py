"""Where the package's own files are: beside it in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
ROOT = _PACKAGE if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent
CONFIGS = ROOT / "configs"
RESULTS = ROOT / "results"
"""What the paper prints and claims, which older sources count, and in a checkout stored runs."""
OUTPUTS = Path("outputs")
"""Where commands write, in the folder that they are given in."""
