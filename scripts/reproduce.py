"""Run an experiment's whole sweep: `python scripts/reproduce.py ID [KEY=VALUE ...]`."""

import sys

from glocal_exp.app.main import reproduce

if __name__ == "__main__":
    reproduce(sys.argv[1:])
