"""From a command line to a finished run directory: the one package that sees Hydra.

config.py     the schema of the root config and the checks of what Hydra cannot check
build.py      config -> data, problem, method, meta optimizer, numerics
train.py      runs them seed by seed, with store and sinks
main.py       entry points; turns errors into one sentence
"""
