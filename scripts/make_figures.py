"""Build figures from stored runs; `python scripts/make_figures.py --help` lists the options."""

import sys
from pathlib import Path

from _start import load

if __name__ == "__main__":
    home = Path(__file__).resolve().parents[1] / "results"
    load("glocal_exp.app.command").main(["figures", *sys.argv[1:]], home)
