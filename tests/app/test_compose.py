"""From overrides to configs: what a run's path follows from, sweeps, repeated runs, --help."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import hydra
import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from glocal_exp.app import compose
from glocal_exp.app.check import expected
from glocal_exp.app.choices import KEYS, help_page
from glocal_exp.app.compose import as_yaml, jobs
from glocal_exp.app.config import NUMERIC, Schema, numeric_config
from glocal_exp.app.reproduce import main as reproduce
from glocal_exp.errors import UserError
from glocal_exp.places import CONFIGS
from glocal_exp.store import config_hash

from .commands import ROOT


@cache
def digits(*overrides: str) -> str:
    (job,) = jobs(overrides, sweep=False)
    return config_hash(numeric_config(job.config, "files"))


def test_the_order_of_overrides_does_not_count():
    one = digits("steps=200", "method=local", "task.init.momentum=0.9")
    assert one == digits("task.init.momentum=0.9", "method=local", "steps=200")


@pytest.mark.parametrize(
    "override",
    [
        *["tracker=none", "output_dir=elsewhere", "data_dir=/elsewhere", "source=files"],
        *["device=cpu", "device.cpu.segment=7", "seed=5", "seeds=[1,2]", "keep_arrays.every=3"],
    ],
)
def test_where_and_how_a_run_is_made_does_not_count(override):
    assert digits(override) == digits()


@pytest.mark.parametrize(
    "change",
    [
        *["steps=200", "interval=200", "batch_size=64", "eval_every=200", "validation.size=0.2"],
        *["model.hidden=16", "task.init.learning_rate=0.02", "method.window=60", "method=local"],
        *["hypergradient.chunk=1", "meta_optimizer.learning_rate=0.2", "dataset=mnist"],
        *["carry_tangents=true", "stop_when_diverged=true", "precision=float64", "dmd.rank=3"],
        *["augmentation=flip_crop", "augmentation=flip_crop augmentation.padding=2"],
        "dataset=cifar10_lt dataset.imbalance.factor=50",
        "dataset=cifar10_lt dataset.imbalance.exponent=paper",
    ],
)
def test_what_decides_the_numbers_does(change):
    *before, _ = words = change.split()
    assert digits(*words) not in (digits(), digits(*before))


def test_the_embedded_images_are_data_of_their_own():
    (job,) = jobs([], sweep=False)
    files, bundled = (numeric_config(job.config, name) for name in ("files", "bundled"))
    assert config_hash(files) != config_hash(bundled)
    assert set(files) == {*NUMERIC, "dataset", "bundled"}


@pytest.mark.parametrize("classes", [10, 100])
def test_a_long_tailed_data_set_is_the_whole_one_thinned_out(classes):
    (job,), (whole,) = (
        jobs([f"dataset=cifar{classes}{ending}"], sweep=False) for ending in ("_lt", "")
    )
    found, expected = job.config.dataset, whole.config.dataset
    assert found.name == f"cifar{classes}_lt"
    shared = set(expected) - {"name"}
    assert {key: found[key] for key in shared} == {key: expected[key] for key in shared}
    # paper, appendix B.2
    assert (job.config.validation.size, job.config.validation.balanced) == (1000, True)


def test_the_path_of_a_stored_run_is_that_of_older_versions():
    """Guards the runs in results/: whoever changes this makes all of them strangers."""
    size = ["experiment=fig2_sgd", "steps=2000", "validation.subset=1000"]
    found = jobs([*size, "steady_state.fallback=nearest"], sweep=False)
    assert config_hash(numeric_config(found[0].config, "files")) == "98f60db4"


def test_both_kinds_of_global_have_names_of_their_own():
    (job,) = jobs(["method=global_restart"], sweep=False)
    assert (job.config.names.method, job.config.method.greedy) == ("global_restart", False)
    assert digits("method=global_restart") == digits("method=global", "method.greedy=false")
    assert digits("method=global_restart") != digits("method=global")


@pytest.mark.parametrize("task", ["sgd", "reweight"])  # which chooses a mode too
@pytest.mark.parametrize(
    ("method", "group", "target"),
    [
        ("ift", "hypergradient", "glocal_exp.engine.modes.implicit.Implicit"),
        ("hyperdistill", "hypergradient", "glocal_exp.engine.modes.distilled.Distilled"),
        ("fds", "meta_optimizer", "optax.sgd"),
    ],
)
def test_a_method_may_choose_what_serves_it_and_a_command_another(method, group, target, task):
    other = {"hypergradient": "reverse", "meta_optimizer": "adam"}[group]
    for given, kept in (([], True), ([f"{group}={other}"], False)):
        (job,) = jobs([f"method={method}", f"task={task}", *given], sweep=False)
        assert (job.config[group]["_target_"] == target) == kept


def test_a_program_of_hydra_goes_on_with_its_own_configs():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        own = hydra.compose("main", ["seed=3"], return_hydra_config=True)
        HydraConfig.instance().set_config(own)
        assert jobs(["steps=200"], sweep=False)[0].config.steps == 200
        assert HydraConfig.get().overrides.task == ["seed=3"]
        assert hydra.compose("main", ["seed=4"]).seed == 4


def test_a_sweep_takes_every_combination_the_first_key_slowest():
    found = jobs(["method=none,local", "steps=200", "seed=range(0,3)"], sweep=True)
    assert [job.name for job in found] == [
        f"method={method} seed={seed}" for method in ("none", "local") for seed in range(3)
    ]
    assert [(job.config.names.method, job.config.seed) for job in found][3] == ("local", 0)
    assert found[0].choices["method"] == "none"


def test_a_sweep_takes_values_of_variables(monkeypatch):
    monkeypatch.setenv("V", "30")
    found = jobs(["method.window=${oc.env:V},40"], sweep=True)
    assert [job.config.method.window for job in found] == [30, 40]


def test_nothing_is_one_of_several_choices():
    plain, moved = jobs(["augmentation=null,flip_crop"], sweep=True)
    assert (plain.name, plain.config.augmentation) == ("augmentation=null", None)
    assert moved.choices["augmentation"] == "flip_crop"


@pytest.mark.parametrize(
    ("override", "variable", "found"),
    [
        ("carry_tangents=${oc.env:V}", "false", {"carry_tangents": False}),
        ("carry_tangents=${oc.env:V}", "1", {"carry_tangents": True}),
        ("seed=${oc.env:V}", "7", {"seed": 7}),
        ("seed=${oc.env:NOT_SET,3}", "", {"seed": 3}),
        ("seeds=${oc.env:V}", "[0,2]", {"seeds": [0, 2]}),
        ("eval_every=${oc.env:V}", "null", {"eval_every": None}),
        ("validation.size=${oc.env:V}", "0.25", {"validation.size": 0.25}),
        ("method.window=${oc.env:V}", "50", {"method.window": 50}),
        ("task.init.learning_rate=${oc.env:V}", "1e-3", {"task.init.learning_rate": 1e-3}),
        ("keep_arrays.every=${oc.env:V}", "4", {"keep_arrays.every": 4}),
        ("validation={size:${oc.env:V}}", "0.25", {"validation.size": 0.25}),
        ('method.window="${oc.env:V}"', " 50 ", {"method.window": 50}),
        ("method.window=[${oc.env:V}]", "it's", {"method.window": ["it's"]}),
        ("output_dir=${oc.env:V}", "2024", {"output_dir": "2024"}),
        ("output_dir=${oc.env:V}/1e5", "x", {"output_dir": "x/1e5"}),
        ("output_dir=2024_11_25", "", {"output_dir": "2024_11_25"}),
        ("output_dir=1e5", "", {"output_dir": "1e5", "tracker.dir": "1e5"}),
        ("output_dir=007", "", {"output_dir": "007"}),
        ("output_dir=true", "", {"output_dir": "true"}),
        ("data_dir=1_0", "", {"data_dir": "1_0"}),
        ("data_dir=null", "", {"data_dir": None}),
        ("output_dir=${steps}", "", {"output_dir": "10000"}),
        ("output_dir=~/runs", "", {"output_dir": "/home/me/runs", "tracker.dir": "/home/me/runs"}),
        ("data_dir=~/images", "", {"data_dir": "/home/me/images"}),
    ],
)
def test_what_is_typed_and_what_a_variable_holds_have_one_type(
    override, variable, found, monkeypatch
):
    monkeypatch.setenv("V", variable)
    monkeypatch.setenv("HOME", "/home/me")
    (job,) = jobs([override], sweep=False)
    for key, value in found.items():
        got = OmegaConf.select(job.config, key)
        assert (got, type(got)) == (value, type(value)) or list(got) == value


@pytest.mark.parametrize(
    ("override", "variable"),
    [
        ("seed=${oc.env:V}", "x"),
        ("carry_tangents=${oc.env:V}", "maybe"),
        ("steps=${oc.env:V}", "1.5"),
    ],
)
def test_a_variable_of_another_type_is_refused(override, variable, monkeypatch):
    monkeypatch.setenv("V", variable)
    with pytest.raises(UserError, match="should be"):
        jobs([override], sweep=False)


@pytest.mark.parametrize(
    "path", ["o/a=b", "o/a#b", "o/\u00e9", "my runs", "it's", 'a"b', "o\\b", "a(b"]
)
def test_a_path_may_have_any_letters(path):
    (job,) = jobs([f"output_dir={path}", f"data_dir={path}"], sweep=False)
    assert (job.config.output_dir, job.config.data_dir) == (path, path)


@pytest.mark.parametrize("override", ["experiment=null", "augmentation=null", "~augmentation"])
def test_nothing_may_be_chosen_of_what_is_optional(override):
    assert digits(override) == digits()


def test_a_sweep_over_paths_takes_them_as_text():
    found = jobs(["output_dir=1e5,2024_1, b"], sweep=True)
    assert [job.config.output_dir for job in found] == ["1e5", "2024_1", "b"]


def test_a_setting_in_a_sweep_is_for_the_choices_that_have_it():
    overrides = ["method=none,glocal", "method.window=20,40", "task=sgd,adam", "task.init.b1=0.8"]
    found = jobs(overrides, sweep=True)
    assert [job.name for job in found] == [
        f"{method} {task}"
        for method in (
            "method=none",
            "method=glocal method.window=20",
            "method=glocal method.window=40",
        )
        for task in ("task=sgd", "task=adam")
    ]
    assert [job.config.method.get("window") for job in found[::2]] == [None, 20, 40]
    assert [job.config.task.init.get("b1") for job in found[:2]] == [None, 0.8]


@pytest.mark.parametrize(
    "overrides",
    [["method=none,local", "method.window=20"], ["method=none,glocal", "method.windw=2"]],
)
def test_a_setting_in_a_sweep_that_no_choice_has_is_refused(overrides):
    with pytest.raises(UserError, match=f"no setting {overrides[1].split('=')[0]}"):
        jobs(overrides, sweep=True)


def test_help_names_every_group_key_and_choice():
    page = help_page()
    main = yaml.safe_load((ROOT / "configs/main.yaml").read_text())
    groups = [name for entry in main["defaults"] if isinstance(entry, dict) for name in entry]
    for group in groups:
        for file in (ROOT / "configs" / group).glob("*.yaml"):
            assert file.stem in page
    described = {key.split(".")[0] for key in KEYS}
    assert set(Schema.__annotations__) - {*groups, "sweep", "names"} <= described
    assert page.count("glocal train ") >= 4
    assert max(map(len, page.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "code", "modules"),
    [
        (["--help"], 0, {"hydra", "jax", "pandas", "wandb", "rich"}),
        (["seed=abc"], 2, {"jax", "pandas", "wandb", "tensorflow_datasets"}),
        (["steps=-5"], 2, {"pandas", "wandb", "tensorflow_datasets"}),
    ],
)
def test_mistakes_and_help_wait_for_no_more_than_they_need(arguments, code, modules, tmp_path):
    program = (
        "import sys\nfrom glocal_exp.app.main import main\n"
        f"try: main({arguments!r})\n"
        f"except SystemExit as end: print(end.code, *{modules!r} & set(sys.modules))"
    )
    assert printed(program, tmp_path) == str(code)


def test_a_run_alone_waits_for_nothing_that_draws(tmp_path):
    program = (
        "import sys, glocal_exp.app.train\n"
        "print(len({'matplotlib', 'plotly', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    assert printed(program, tmp_path) == "0"


def printed(program: str, folder: Path) -> str:
    """The last line that a Python of its own prints, beside it nothing of this environment."""
    command = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.check_output(command, cwd=folder, env=environment, text=True).splitlines()[-1]


def test_reproduce_lists_the_experiments(capsys):
    for arguments, code in ((["nosuch"], 2), (["--nosuch"], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as ended:
            reproduce(arguments)
        output = capsys.readouterr()
        assert ended.value.code == code
        if arguments != ["--nosuch"]:
            for file in (ROOT / "configs/experiment").glob("*.yaml"):
                assert file.stem in output.out + output.err


@pytest.mark.parametrize(
    ("value", "hint", "fit"),
    [
        (1, float, True),
        (True, float, False),
        (1.0, int, False),
        (None, int | None, True),
        ("a", int | None, False),
        ([1, 2], list[int], True),
        ([1, "a"], list[int], False),
        ([1], tuple[int, int], False),
        ([1, 2], tuple[int, ...], True),
        ({"a": 1}, dict[str, float], True),
        ("a", Path | str, True),
        ("a", Path, False),
    ],
)
def test_values_and_annotations(value, hint, fit):
    words, fits = expected(hint)
    assert fits(value) is fit
    assert words or hint is Path


def as_hydra_composes(overrides: list[str], composed) -> tuple:
    return composed(tuple(overrides))


@pytest.mark.parametrize(
    "line",
    [
        "experiment=recovery method=local,glocal method.window=60,80 task.init.momentum=0.1,0.9",
        "method=local,glocal interval=50,100 output_dir=x_${hydra:runtime.choices.method}",
        "experiment=${hydra:job.override_dirname}", "steps=null",
        "steps=${oc.env:HOME}", "interval=${foo}", "method=local method.stride=1",
        "task.init={a: 1}", "+method.foo=3 method.foo=4", "method.window=3 ~method.window",
        "method.window=3 ++method.window=4", "search@study=tpe", "method@foo=local", "dmd=foo",
    ],
)  # fmt: skip
def test_values_set_afterwards_come_to_what_hydra_composes(line, monkeypatch):
    def outcome():
        try:
            made = jobs(re.split(r" (?=[\w~+.@]+[=]|~)", line), True)
        except UserError as error:
            return str(error)
        return [(job, as_yaml(job.config)) for job in made]

    fast = outcome()
    monkeypatch.setattr(compose, "_with_values", as_hydra_composes)
    assert fast == outcome()
