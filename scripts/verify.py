"""Rebuild all figures and tables from the stored runs, and name those in results/ that differ."""

import sys
from pathlib import Path

from _start import load

if __name__ == "__main__":
    load("glocal_exp.app.command").round_alike()
    root = Path(__file__).resolve().parents[1]
    sys.exit(load("glocal_exp.report.verify").main(root))
