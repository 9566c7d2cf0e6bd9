"""Run experiments of the paper: `python scripts/reproduce.py ID [KEY=VALUE ...]` (see --help)."""

from glocal_exp.app.reproduce import main

if __name__ == "__main__":
    main()
