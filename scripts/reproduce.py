"""Run experiments of the paper: `python scripts/reproduce.py ID [KEY=VALUE ...]` (see --help)."""

from _start import load

if __name__ == "__main__":
    load("glocal_exp.app.reproduce").main()
