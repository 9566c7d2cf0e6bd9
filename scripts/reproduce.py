"""Run experiments of the paper: `python scripts/reproduce.py ID [KEY=VALUE ...]` (see --help).

Into results/, where figures and tables of this repository are made from.
"""

from pathlib import Path

from _start import load

if __name__ == "__main__":
    results = Path(__file__).resolve().parents[1] / "results"
    load("glocal_exp.app.reproduce").main(output=results)
