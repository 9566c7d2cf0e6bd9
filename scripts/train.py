"""Train with hyperparameter optimization: `python scripts/train.py KEY=VALUE ...` (see --help)."""

from glocal_exp.app.main import main

if __name__ == "__main__":
    main()
