"""Train all four methods at a reduced size, and draw what comes out: `python scripts/demo.py`."""

from glocal_exp.app.demo import main

if __name__ == "__main__":
    main()
