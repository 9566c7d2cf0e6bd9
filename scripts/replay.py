"""Check stored runs against the present source: `python scripts/replay.py` (see --help)."""

from _start import load

if __name__ == "__main__":
    load("glocal_exp.app.replay").main()
