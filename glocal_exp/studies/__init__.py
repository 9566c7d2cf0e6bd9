"""Studies: what is measured without being a training run."""
