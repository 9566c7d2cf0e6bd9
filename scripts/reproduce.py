"""Run experiments of the paper: `python scripts/reproduce.py ID [KEY=VALUE ...]` (see --help).

Into results/, where figures and tables of this repository are made from.
"""

from _start import RESULTS, load

if __name__ == "__main__":
    load("glocal_exp.app.reproduce").main(output=RESULTS)
