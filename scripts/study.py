"""Run a study: `python scripts/study.py study=ID [KEY=VALUE ...]` (see --help)."""

from glocal_exp.app.study import main

if __name__ == "__main__":
    main()
