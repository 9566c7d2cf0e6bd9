"""From overrides to configs: what a run's path follows from, sweeps, repeated runs, --help."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from glocal_exp.app import help as help_page
from glocal_exp.app.check import describe, fits
from glocal_exp.app.compose import as_yaml, jobs
from glocal_exp.app.config import NUMERIC, Schema, numeric_config
from glocal_exp.app.reproduce import main as reproduce
from glocal_exp.errors import UserError
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
    "override",
    [
        *["steps=200", "interval=200", "batch_size=64", "eval_every=200", "validation.size=0.2"],
        *["model.hidden=16", "task.init.learning_rate=0.02", "method.window=60", "method=local"],
        *["hypergradient.chunk=1", "meta_optimizer.learning_rate=0.2", "dataset=mnist"],
        *["carry_tangents=true", "stop_when_diverged=true", "precision=float64", "dmd.rank=3"],
    ],
)
def test_what_decides_the_numbers_does(override):
    assert digits(override) != digits()


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


@pytest.mark.parametrize(
    "override", ["dataset.imbalance.factor=50", "dataset.imbalance.exponent=paper"]
)
def test_an_imbalance_decides_the_numbers(override):
    assert digits("dataset=cifar10_lt", override) != digits("dataset=cifar10_lt")


def test_augmentation_decides_the_numbers():
    assert digits("augmentation=flip_crop") != digits()
    changed = digits("augmentation=flip_crop", "augmentation.padding=2")
    assert changed not in (digits(), digits("augmentation=flip_crop"))


def test_the_path_of_a_stored_run_is_that_of_older_versions():
    """Guards the runs in results/: whoever changes this makes all of them strangers."""
    found = jobs(["experiment=fig2_sgd", "steps=2000", "validation.subset=1000"], sweep=False)
    assert config_hash(numeric_config(found[0].config, "files")) == "98f60db4"


def test_both_kinds_of_global_have_names_of_their_own():
    (job,) = jobs(["method=global_restart"], sweep=False)
    assert (job.config.names.method, job.config.method.greedy) == ("global_restart", False)
    assert digits("method=global_restart") == digits("method=global", "method.greedy=false")
    assert digits("method=global_restart") != digits("method=global")


def test_a_sweep_takes_every_combination_the_first_key_slowest():
    found = jobs(["method=none,local", "steps=200", "seed=range(0,3)"], sweep=True)
    assert [job.name for job in found] == [
        f"method={method} seed={seed}" for method in ("none", "local") for seed in range(3)
    ]
    assert [(job.config.names.method, job.config.seed) for job in found][3] == ("local", 0)
    assert found[0].choices["method"] == "none"


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=local", "task=adam", "task.init.b2=0.99", "steps=300"],
        ["method=glocal", "dmd.rank=4", "method.window=50", "eval_every=200", "seed=7"],
        [
            "method=glocal",
            "++method.dmd.rank=hard_threshold",
            "++method.dmd._target_=builtins.dict",
        ],
        ["experiment=c3_fmnist", "meta_optimizer=sgd", "device=cpu", "device.segment=9"],
        ["task=rmsprop", "~task.init.decay", "precision=float64", "validation.size=500"],
        ["dataset=cifar10_lt", "model=wide_resnet", "model.depth=10", "task=reweight"],
    ],
)
def test_from_repeats_a_stored_config(overrides, tmp_path):
    (first,) = jobs(overrides, sweep=False)
    config = yaml.safe_load(as_yaml(first.config))
    for key in ("output_dir", "data_dir", "tracker", "source", "sweep"):
        del config[key]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    choices = dict(first.choices)
    (tmp_path / "manifest.json").write_text(yaml.safe_dump({"choices": choices}))
    (second,) = jobs([f"from={tmp_path}"], sweep=False)
    again = yaml.safe_load(as_yaml(second.config))
    assert {key: again[key] for key in config} == config


def test_other_settings_win_over_the_repeated_ones(tmp_path):
    (first,) = jobs(["method=glocal", "method.window=50", "steps=300"], sweep=False)
    (tmp_path / "config.yaml").write_text(as_yaml(first.config))
    (tmp_path / "manifest.json").write_text("{}")
    (job,) = jobs([f"from={tmp_path}", "method=local", "seed=1"], sweep=False)
    assert (job.config.names.method, job.config.seed, job.config.steps) == ("local", 1, 300)
    assert "window" not in job.config.method
    (job,) = jobs([f"from={tmp_path}", "method.window=60"], sweep=False)
    assert job.config.method.window == 60


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
    page = help_page.text()
    main = yaml.safe_load((ROOT / "configs/main.yaml").read_text())
    groups = [name for entry in main["defaults"] if isinstance(entry, dict) for name in entry]
    for group in groups:
        for file in (ROOT / "configs" / group).glob("*.yaml"):
            assert file.stem in page
    described = {key.split(".")[0] for key in help_page.KEYS}
    assert set(Schema.__annotations__) - {*groups, "sweep", "names"} <= described
    assert page.count("python scripts/train.py ") >= 4
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
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == str(code)


def test_reproduce_lists_the_experiments(capsys):
    for arguments, code in (([], 2), (["nosuch"], 2), (["--nosuch"], 2), (["--help"], 0)):
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
    assert fits(value, hint) is fit
    assert describe(hint) or hint is Path
