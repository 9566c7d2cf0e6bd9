"""From a command line to a finished run directory: the one package that sees Hydra.

main.py       entry point; whatever goes wrong ends in one sentence and an exit code
arguments.py  the command line: flags and Hydra's overrides
help.py       what --help prints
compose.py    overrides -> the jobs of a sweep, each with its config
mistakes.py   what Hydra and OmegaConf say, as one sentence that names the fix
rerun.py      from=RUN_DIR -> the overrides that give a stored run's config again
config.py     the root config's schema, and its part that a run's identity follows from
check.py      values against the signatures that they are passed to
device.py     the platform that JAX runs on
build.py      config -> data, problem, method, meta optimizer, numerics
identity.py   what a run is called, and what its manifest says
train.py      one job: its seeds, what is left of them to do, alone or side by side
batch.py      the seeds of one program: begun, gone on with, completed
group.py      those of them that share one loop of the engine
stop.py       Ctrl-C and SIGTERM
say.py        lines for the user
reproduce.py  the sweep of an experiment
demo.py       the demonstration: four methods, figures, tables, a summary
"""
