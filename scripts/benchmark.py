"""Time the parts of an interval beside PyTorch; `python scripts/benchmark.py --help`."""

import sys

from glocal_exp.bench.lenet import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
