"""From a command line to a finished run directory: the one package that sees Hydra.

command.py      `glocal`, which calls those below by their names
main.py         train: whatever goes wrong ends in one sentence and an exit code
plans.py        what the parts of the plan, and experiments of the paper, consist of
reproduce.py    what is left of them
study.py        what is measured without a training run
compare.py      stored runs by the settings in which they differ
merge.py        runs and studies from other machines, copied and verified
replay.py       whether the present source still gives the numbers of stored runs and studies
demo.py         methods from a poor start, 2,000 penalties, a figure and what it says

sweep.py        the jobs of a command, through the launcher that its config names; their table
launchers/      here, in processes, on Slurm, on Ray

compose.py      overrides -> the jobs of a sweep, each with its config
rerun.py        from=RUN_DIR -> the overrides that give a stored run's config again
config.py       the root config's schema, and its part that a run's identity follows from
choices.py      the files in configs/ as plain YAML, and what --help prints of them
check.py        values against the signatures that they are passed to
mistakes.py     what Hydra and OmegaConf say, as one sentence that names the fix
build.py        platform, data and all else that a run needs
assemble.py     what the settings mean: problem, plan, split; the numeric source among these
instantiate.py  from `_target_` to an object
device.py       the platform that JAX runs on
cells.py        of a plan, what one command trains, and whether it is stored
speed.py        how long that takes, by what stored runs have taken
train.py        one job: its seeds, and what is left of each to do
named.py        what a config names that is no part of this package
own.py          a problem of one's own, given as objects, with all of the tooling
group.py        those of them that share one loop of the engine
identity.py     what a run is called, and what its manifest says
stop.py         Ctrl-C, SIGTERM and a limit of time
say.py          lines for the user, and exit codes
"""
