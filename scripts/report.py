"""Write results/REPORT.md and results/report.html."""

import sys
from pathlib import Path

from _start import load

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    sys.exit(load("glocal_exp.report.document.write").main(root))
