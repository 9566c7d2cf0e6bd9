"""Strategies: which hypergradients an outer step looks at and what it makes of them."""
