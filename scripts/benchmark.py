"""Time steps, hypergradients and runs beside their peers; `python scripts/benchmark.py --help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `benchmarks` is not installed

from _start import load

if __name__ == "__main__":
    load("benchmarks.command").main()
