"""Train small problems in five ways, and draw what comes out: `python scripts/demo.py`."""

from _start import load

if __name__ == "__main__":
    load("glocal_exp.app.demo").main()
