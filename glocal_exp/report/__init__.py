"""Figures and tables from stored runs alone: no JAX, no network."""
