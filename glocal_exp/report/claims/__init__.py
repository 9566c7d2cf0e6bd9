"""Verdicts on what the paper says, each computed from stored runs; a file for each kind."""
