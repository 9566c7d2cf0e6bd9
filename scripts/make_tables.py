"""Build tables from stored runs; `python scripts/make_tables.py --help` lists the options."""

import sys
from pathlib import Path

from _start import load

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    sys.exit(load("glocal_exp.report.build").main("table", repository=root))
