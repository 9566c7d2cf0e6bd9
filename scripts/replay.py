"""Check stored runs against the present source: `python scripts/replay.py` (see --help)."""

from glocal_exp.app.replay import main

if __name__ == "__main__":
    main()
