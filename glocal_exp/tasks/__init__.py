"""Inner problems: what is trained, and what its hyperparameters are."""
