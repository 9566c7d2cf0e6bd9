"""Timing the compiled steps and whole runs beside peers; no training run imports this."""
