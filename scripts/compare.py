"""List and draw stored runs by what differs: `python scripts/compare.py RUNS ...` (see --help)."""

from _start import load

if __name__ == "__main__":
    load("glocal_exp.app.compare").main()
