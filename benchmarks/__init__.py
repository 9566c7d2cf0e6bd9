"""Timing the compiled steps and whole runs beside peers; not part of the installed package."""
