"""Train with hyperparameter optimization: `python scripts/train.py KEY=VALUE ...` (see --help)."""

from _start import load

if __name__ == "__main__":
    load("glocal_exp.app.main").main()
