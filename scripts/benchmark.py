"""Time steps, hypergradients and runs beside their peers; `python scripts/benchmark.py --help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `benchmarks` is not installed

from benchmarks.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
