"""Rebuild all figures and tables from the stored runs, and name those in results/ that differ."""

from _start import RESULTS, load

if __name__ == "__main__":
    load("glocal_exp.app.command").round_alike()
    main = load("glocal_exp.report.verify").main
    load("glocal_exp.app.main").entry_point(lambda *_: main(RESULTS.parent))([])
