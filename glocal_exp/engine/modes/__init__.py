"""How hypergradients are computed: one file, one class and one YAML file a mode."""
