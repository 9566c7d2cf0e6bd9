"""Build tables from stored runs; `python scripts/make_tables.py --help` lists the options."""

import sys
from pathlib import Path

from glocal_exp.report.build import main

if __name__ == "__main__":
    sys.exit(main("table", repository=Path(__file__).resolve().parents[1]))
