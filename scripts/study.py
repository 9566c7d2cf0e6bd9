"""Run a study: `python scripts/study.py study=ID [KEY=VALUE ...]` (see --help)."""

from _start import load

if __name__ == "__main__":
    load("glocal_exp.app.study").main()
