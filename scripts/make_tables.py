"""Build tables from stored runs; `python scripts/make_tables.py --help` lists the options."""

from _start import draw

if __name__ == "__main__":
    draw("tables")
