"""Write results/REPORT.md and results/report.html."""

import sys
from pathlib import Path

from _start import load

if __name__ == "__main__":
    home = Path(__file__).resolve().parents[1] / "results"
    load("glocal_exp.app.command").main(["report", *sys.argv[1:]], home)
