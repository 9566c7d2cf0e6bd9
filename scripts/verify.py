"""Rebuild all figures and tables from the stored runs, and name those in results/ that differ."""

from pathlib import Path

from _start import load

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    load("glocal_exp.app.command").round_alike()
    main = load("glocal_exp.report.verify").main
    load("glocal_exp.app.main").entry_point(lambda *_: main(root))([])
