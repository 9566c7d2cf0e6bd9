"""A stored config is repeated as it was or refused, and runs no code of its own."""

import json
import shlex
import shutil
import sys
import time
from functools import cache, partial
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from glocal_exp.app.compose import as_yaml, jobs
from glocal_exp.app.config import numeric_config
from glocal_exp.app.identity import stored_config
from glocal_exp.app.rerun import check_targets, text_of, typed
from glocal_exp.errors import UserError
from glocal_exp.places import ROOT
from glocal_exp.store import config_hash
from glocal_exp.store.seal import checksums

RUNS = ROOT / "results" / "runs"
VARIANTS = sorted({path.parent for path in RUNS.glob("*/*/seed=*")})
STUDIES = sorted({path.parent for path in (ROOT / "results" / "studies").glob("*/*/seed=*")})
OF_METHODS = {path.name.rpartition("-")[0]: path for path in VARIANTS}


@cache
def written(*overrides: str) -> tuple[str, str]:
    """Config and manifest of a run of these overrides, as text."""
    (job,) = jobs(overrides, sweep=False)
    manifest = {
        "choices": job.choices,
        "config_hash": config_hash(numeric_config(job.config, "bundled")),
        "data": {"source": "bundled"},
    }
    return as_yaml(stored_config(job.config, 0)), json.dumps(manifest)


def store(path: Path, *overrides: str, change=lambda config: None) -> Path:
    """What a run of these overrides leaves, its config changed afterwards."""
    text, manifest = written(*overrides)
    config = yaml.safe_load(text)
    change(config)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "manifest.json").write_text(manifest)
    return path


def repeat(path: Path, *others: str):
    (job,) = jobs([f"from={path}", *others], sweep=False)
    return job


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(path, marks=() if path in OF_METHODS.values() else pytest.mark.slow)
        for path in VARIANTS
    ],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_committed_runs_are_repeated_under_their_hash(variant):
    job = repeat(next(variant.glob("seed=*")))
    assert variant.name.endswith(config_hash(numeric_config(job.config, "files")))


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_committed_studies_are_repeated_under_their_hash(study):
    job = repeat(next(study.glob("seed=*")))  # which looks at the hash
    assert job.choices["study"] == study.parent.name


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=local", "task=adam", "task.init.b2=0.99", "steps=300"],
        ["method=glocal", "dmd.rank=4", "method.window=50", "eval_every=200", "seed=7"],
        ["method=glocal", "++method.dmd.rank=hard_threshold", "~method.dmd.regression"],
        ["experiment=c3_fmnist", "meta_optimizer=sgd", "device=cpu", "device.segment=9"],
        ["task=rmsprop", "~task.init.decay", "precision=float64", "validation.size=500"],
        ["dataset=cifar10_lt", "model=wide_resnet", "model.depth=10", "task=reweight"],
        ["++task.rule._target_=optax.sgd"],
    ],
)
def test_from_repeats_a_stored_config(overrides, tmp_path):
    if overrides[2:] == ["~method.dmd.regression"]:
        overrides = overrides[:2]
    again = yaml.safe_load(as_yaml(repeat(store(tmp_path, *overrides)).config))
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert {key: again[key] for key in stored if key != "seeds"} == {
        key: value for key, value in stored.items() if key != "seeds"
    }


@pytest.mark.parametrize(
    "text",
    ["a\\b", "a\\", "a\nb", 'say "x"', 'a\\"b', "${x}", "10", "1e3", "null", "", "a,b", "\\n"],
)
def test_a_text_is_written_and_typed_as_what_it_is(text):
    read = OverridesParser.create().parse_override
    word = f"experiment={text_of(text)}"
    assert read(word).value() == text
    assert read(shlex.split(typed("train", [word]))[-1]).value() == text


def test_other_settings_win_over_the_repeated_ones(tmp_path):
    store(tmp_path, "method=glocal", "method.window=50", "steps=300")
    job = repeat(tmp_path, "method=local", "seed=1")
    assert (job.config.names.method, job.config.seed, job.config.steps) == ("local", 1, 300)
    assert "window" not in job.config.method
    assert repeat(tmp_path, "method.window=60").config.method.window == 60


def set_at(path: str, value):
    def change(config):
        *parents, last = path.split(".")
        for name in parents:
            config = config[name]
        config[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.clear(),
        set_at("steps", 300),
        set_at("method.window", 80),
        set_at("task.init.learning_rate", 0.02),
        lambda config: config["task"]["init"].pop("momentum"),
        lambda config: config.pop("batch_size"),
        set_at("method._target_", "glocal_exp.methods.none.NoHPO"),
        set_at("method.further", 1),
    ],
)
def test_another_config_than_the_manifests_is_refused(change, tmp_path):
    store(tmp_path, "method=local", "steps=500", "batch_size=64", change=change)
    with pytest.raises(UserError, match=r"cannot be repeated|should be|no setting"):
        repeat(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 40, 100])
@pytest.mark.parametrize("name", ["config.yaml", "manifest.json"])
def test_a_torn_file_is_refused(name, kept, tmp_path):
    store(tmp_path, "method=glocal", "steps=500")
    (tmp_path / name).write_text((tmp_path / name).read_text()[:kept])
    with pytest.raises(UserError, match=r"cannot be repeated|that can be read"):
        repeat(tmp_path)


def test_a_choice_that_is_no_longer_here_is_refused(tmp_path):
    store(tmp_path, "task=adam")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["choices"]["task"] = "gone"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError):
        repeat(tmp_path)


OWN = """
import pathlib

def task(**settings):
    pathlib.Path({mark!r}).touch()
"""


def test_what_came_from_a_search_path_is_repeated_with_it_alone(tmp_path, monkeypatch):
    folder, run = tmp_path / "own" / "task", tmp_path / "run"
    folder.mkdir(parents=True)
    run.mkdir()
    shutil.copy(ROOT / "configs/task/sgd.yaml", folder / "mine.yaml")
    text = (folder / "mine.yaml").read_text().replace("momentum: 0.5", "momentum: 0.25")
    (folder / "mine.yaml").write_text(text)
    path = f"hydra.searchpath=[file://{tmp_path / 'own'}]"
    store(run, path, "task=mine", "steps=500")
    assert repeat(run, path).config.task.init.momentum == 0.25
    assert repeat(run, path).choices["task"] == "mine"
    (folder / "mine.yaml").write_text("name: sgd\ninit: [0.1\n")
    with pytest.raises(UserError, match=r"mine\.yaml, line 3, is no YAML: expected ',' or '\]'"):
        jobs([path, "task=mine"], False)


TARGETS = [
    "pandas.read_pickle",
    "builtins.eval",
    "os.system",
    "glocal_exp.app.main.os.system",
    "glocal_exp.app.main.traceback.print_exc",
    "optax.jnp.save",
    "own_task.task",
    "no.such.thing",
    "glocal_exp.app.main.main",
    "glocal_exp.app.demo.main",
    "glocal_exp.store.files.make_directory",
    "glocal_exp.store.directory.discard_checkpoints",
    "glocal_exp.data.files.read_bytes",
    "glocal_exp.tasks.rules.optax.jnp.save",
]


def named_at(where: str, target: str, config: dict) -> None:
    for name in where.split("."):
        config = config.setdefault(name, {})
    config["_target_"] = target


@pytest.mark.parametrize("target", TARGETS)
def test_code_of_others_is_told_from_what_is_here(target):
    (trusted, _), config = written(), yaml.safe_load(written()[0])
    trusted = yaml.safe_load(trusted)
    check_targets(config, trusted, ())
    named_at("task", target, config)
    with pytest.raises(UserError, match=f"names {target}, which is no part"):
        check_targets(config, trusted, ())


@pytest.mark.parametrize("module", ["optaxevil", "glocal_exp_evil"])
def test_code_whose_name_begins_alike_is_not_even_imported(module, tmp_path, monkeypatch):
    (tmp_path / f"{module}.py").write_text("raise SystemExit('foreign code has run')")
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load(written()[0])
    named_at("task", f"{module}.X", config)
    with pytest.raises(UserError, match=f"names {module}.X, which is no part"):
        check_targets(config, yaml.safe_load(written()[0]), ())
    assert module not in sys.modules


@pytest.mark.parametrize("problem", [[1], {"_target_": ["a"]}, {"problem": 1, "examples": "a"}])
def test_a_problem_of_another_form_is_refused_in_a_sentence(problem):
    config = yaml.safe_load(written()[0]) | {"problem": problem}
    named_at("task", "os.system", config)
    with pytest.raises(UserError, match="which is no part of this package"):
        check_targets(config, yaml.safe_load(written()[0]), ())


@pytest.mark.parametrize("where", ["task", "task.rule", "model", "meta_optimizer", "device.cpu.x"])
def test_code_of_others_is_refused(where, tmp_path):
    store(tmp_path, change=partial(named_at, where, TARGETS[-1]))
    # As one who wrote the config would have it: of one piece.
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text())
    (job,) = jobs([], sweep=False)
    config = numeric_config(job.config, "bundled")
    config |= {key: stored[key] for key in config if key in stored and key != "dataset"}
    manifest["config_hash"] = config_hash(config)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=f"names {TARGETS[-1]}, which is no part"):
        repeat(tmp_path)


def test_code_that_the_command_names_is_taken(tmp_path, monkeypatch):
    (tmp_path / "own_task.py").write_text(OWN.format(mark=str(tmp_path / "mark")))
    monkeypatch.syspath_prepend(tmp_path)
    named = "++task.rule._target_=own_task.task"
    store(tmp_path, named)
    assert repeat(tmp_path, named).config.task.rule._target_ == "own_task.task"
    with pytest.raises(UserError, match=r"own_task\.task"):
        repeat(tmp_path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("reference", ["${oc.env:HOME}", "a ${steps}", "${hydra:runtime.cwd}"])
@pytest.mark.parametrize("where", ["task.init.note", "method.window", "precision", "experiment"])
def test_a_reference_is_refused(where, reference, tmp_path):
    store(tmp_path)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    set_at(where, reference)(config)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"no run directory that can be read \(config.yaml"):
        repeat(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('matmul_precision: "\\x24{oc.env:HOME}"\n', "a reference"),
        (f"sweep: {'[' * 200}{']' * 200}\n", "nested too deep"),
    ],
)
def test_what_no_run_would_write_is_refused(text, why, tmp_path):
    store(tmp_path, "method=local")
    with (tmp_path / "config.yaml").open("a") as file:
        file.write(text)
    with pytest.raises(UserError, match=why):
        repeat(tmp_path)


def test_a_setting_edited_since_the_end_is_refused(tmp_path):
    """One too that the hash of the numbers does not cover."""
    store(tmp_path, "method=local")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["checksums"] = checksums([tmp_path / "config.yaml"], tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert repeat(tmp_path).config.seed == 0
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("seed: 0", "seed: 5"))
    with pytest.raises(UserError, match="cannot be repeated"):
        repeat(tmp_path)


def test_a_long_tail_is_repeated(tmp_path):
    store(tmp_path, "dataset=cifar10_lt", "dataset.imbalance.factor=10")
    assert repeat(tmp_path).config.dataset.imbalance.factor == 10
    assert repeat(tmp_path, "dataset.imbalance.factor=50").config.dataset.imbalance.factor == 50
    assert repeat(tmp_path, "dataset=mnist").config.dataset.get("imbalance") is None


def test_trackers_and_paths_are_those_of_the_command(tmp_path):
    theirs = {
        "tracker": {"_target_": "glocal_exp.tracking.wandb.WandbSink", "project": "theirs"},
        "output_dir": "/tmp/theirs",
        "data_dir": "/tmp/theirs",
        "hydra": {"searchpath": ["file:///tmp/theirs"]},
        "sweep": {"seed": "0,1"},
    }
    store(tmp_path, change=lambda config: config.update(theirs))
    config = repeat(tmp_path, "tracker=none").config
    assert config.output_dir == "outputs"
    assert config.data_dir != "/tmp/theirs"
    assert "project" not in config.tracker
    assert config.sweep is None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.yaml", {"method": "abc"}),
        ("config.yaml", {"device": 4}),
        ("config.yaml", {"names": ["a"]}),
        ("manifest.json", {"data": "x"}),
        ("manifest.json", {"choices": ["x"]}),
        ("manifest.json", {"config_hash": None}),
    ],
)
def test_other_forms_than_runs_have_are_refused(name, change, tmp_path):
    store(tmp_path, "method=local")
    content = yaml.safe_load((tmp_path / name).read_text()) | change
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(UserError):
        repeat(tmp_path)


def test_an_alias_bomb_ends_at_once(tmp_path):
    store(tmp_path)
    lines = ["a0: &a0 [x, x]"] + [
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)
    ]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    start = time.perf_counter()
    with pytest.raises(UserError, match="no run directory that can be read"):
        repeat(tmp_path)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("key", ["a b", "x=1", "a.b", "${steps}", "'", "[0]"])
def test_a_key_that_is_no_name_is_refused(key, tmp_path):
    store(tmp_path, change=lambda config: config["task"]["init"].update({key: 0.5}))
    with pytest.raises(UserError):
        repeat(tmp_path)
