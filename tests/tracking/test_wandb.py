"""W&B behind a stand-in that can raise and hang at every moment; nothing real is started."""

import http.server
import math
import os
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
from hydra.utils import instantiate

from glocal_exp.errors import UserError
from glocal_exp.records import IntervalRecord
from glocal_exp.tracking import Fanout, Sink
from glocal_exp.tracking import sink as sinks
from glocal_exp.tracking import wandb as module
from glocal_exp.tracking.surroundings import has_key
from glocal_exp.tracking.wandb import WandbSink, row, run_id

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MOMENTS = ("import", "setup", "init", "log", "finish")


class FakeRun:
    """A W&B run that, like the real one, takes no step smaller than the next."""

    def __init__(self, fake: "FakeWandb", arguments: dict[str, Any]):
        self.fake, self.arguments = fake, arguments
        self.step = fake.steps_on_server.get(arguments["id"], 0)
        self.resumed = arguments["id"] in fake.steps_on_server
        self.rows: list[tuple[int, dict[str, Any]]] = []
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None

    def log(self, values: dict[str, Any], step: int, commit: bool) -> None:
        self.fake.reach("log")
        assert commit, "W&B would keep this row back"
        assert step >= self.step, "W&B would drop this row"
        self.step = step + 1
        self.rows.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.fake.reach("finish")
        self.fake.in_use.discard(self.arguments["id"])
        self.exit_code = exit_code


class FakeWandb(types.ModuleType):
    """The few names of wandb that the sink may use."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: list[FakeRun] = []
        self.steps_on_server: dict[str, int] = {}
        self.trouble: dict[str, Callable[[], object]] = {}
        self.in_use: set[str] = set()  # ids, until the service ends
        self.seen_by_setup: dict[str, str] = {}
        self.global_settings = types.SimpleNamespace(
            mode="online", base_url="https://api.wandb.ai", api_key=None
        )
        self.Settings = type(
            "Settings",
            (types.SimpleNamespace,),
            {"model_fields": dict.fromkeys(("silent", "console", "init_timeout"))},
        )

    def reach(self, moment: str) -> None:
        self.trouble.get(moment, lambda: None)()

    def setup(self, settings: Any = None) -> Any:
        self.reach("setup")
        self.seen_by_setup = {k: v for k, v in os.environ.items() if k.startswith("WANDB_")}
        return types.SimpleNamespace(settings=self.global_settings)

    def init(self, **arguments: Any) -> FakeRun:
        assert arguments["id"] not in self.in_use, "run ID is in use"
        self.in_use.add(arguments["id"])
        self.reach("init")
        self.reach(f"init {arguments['mode']}")
        self.runs.append(FakeRun(self, arguments))
        return self.runs[-1]

    def teardown(self, exit_code: int) -> None:
        self.in_use.clear()
        self.reach("teardown")


@pytest.fixture
def fake(monkeypatch, tmp_path) -> Iterator[FakeWandb]:
    for name in [n for n in os.environ if n.startswith("WANDB_") or n == "NETRC"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sinks, "at_exit", lambda *_: None)
    answers = module.unreachable
    monkeypatch.setattr(  # no test asks the real server
        module, "unreachable", lambda url, s: answers(url, s) if "127.0.0.1" in url else None
    )
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    before, variables = set(threading.enumerate()), dict(os.environ)
    yield fake
    # a sink's thread that goes on after the test would import the real package halfway
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread.name
    for name in set(os.environ) - set(variables):  # which a sink sets for the whole program
        del os.environ[name]


def info(seed: int = 0, **more: Any) -> dict[str, Any]:
    facts = {"experiment": "fmnist_lenet_sgd", "variant": "glocal-0a1b2c3d", "method": "glocal"}
    path = f"outputs/runs/{facts['experiment']}/{facts['variant']}/seed={seed}"
    facts |= {"data": "Fashion-MNIST"}
    return facts | {"seed": seed, "path": path, "config": {"task": {"lr": 0.1}}} | more


def record(step: int, seed: int = 0, **more: Any) -> IntervalRecord:
    return IntervalRecord(
        seed=seed,
        outer_step=step // 100,
        step=step,
        metrics={"test_accuracy": step / 1000, "test_loss": 1.0},
        hyperparameters={"learning_rate": 0.1},
        hypergradient={"learning_rate": -2.0},
        arrays={"trajectory": np.zeros((3, 1))},
        **more,
    )


def tracked(mode: str, **settings: Any) -> Fanout:
    return Fanout([WandbSink(mode, **settings)])


def drive(sink: Fanout, seeds: tuple[int, ...] = (0,), steps: range = range(0, 301, 100)) -> None:
    for seed in seeds:
        sink.start(info(seed))
    for step in steps:
        for seed in seeds:
            sink.record(record(step, seed))
    sink.progress(1, 2, "playout", seeds[0])
    sink.finish("complete")


def test_rows_config_and_names_of_every_seed_reach_its_own_run(fake, tmp_path):
    sink = tracked("offline", project="p", entity="e", tags=["a", "b"], dir=tmp_path / "out")
    drive(sink, seeds=(0, 7))
    assert [run.arguments["id"] for run in fake.runs] == [
        run_id(info(seed)["path"]) for seed in (0, 7)
    ]
    for seed, run in zip((0, 7), fake.runs, strict=True):
        assert run.rows == [(step, record(step, seed).row()) for step in (0, 100, 200, 300)]
        assert (run.exit_code, run.summary) == (0, {"status": "complete"})
        expected = {
            "project": "p",
            "entity": "e",
            "tags": ["a", "b"],
            "dir": str(tmp_path / "out"),
            "mode": "offline",
            "resume": "allow",
            "reinit": "create_new",
            "group": "fmnist_lenet_sgd/glocal-0a1b2c3d",
            "name": f"fmnist_lenet_sgd/glocal-0a1b2c3d/seed={seed}",
            "job_type": "glocal",
        }
        assert {key: run.arguments[key] for key in expected} == expected
        assert run.arguments["config"] == {
            "task": {"lr": 0.1},
            "experiment": "fmnist_lenet_sgd",
            "variant": "glocal-0a1b2c3d",
            "seed": seed,
            "data": "Fashion-MNIST",
        }
        settings = run.arguments["settings"]  # unknown ones left out, so that any version will do
        assert vars(settings) == {"silent": True, "console": "off", "init_timeout": 30.0}
    assert (tmp_path / "out").is_dir()


def test_seeds_may_end_one_by_one_with_their_own_status(fake, tmp_path):
    sink = tracked("offline", dir=tmp_path)
    for seed in (0, 1, 2):
        sink.start(info(seed))
    sink.finish("failed", seed=1)
    sink.finish("complete", seed=5)  # never started
    sink.record(record(100, seed=2))
    sink.finish("interrupted")
    assert [run.exit_code for run in fake.runs] == [255, 1, 255]
    assert [len(run.rows) for run in fake.runs] == [0, 0, 1]


def test_a_sink_can_be_used_for_one_seed_after_another(fake, tmp_path):
    sink = tracked("offline", dir=tmp_path)
    for seed in (0, 1):
        drive(sink, seeds=(seed,))
    assert [len(run.rows) for run in fake.runs] == [4, 4]
    time.sleep(0.05)
    assert "W&B" not in {thread.name for thread in threading.enumerate()}


HELD = (
    "W&B already holds seed 0 of this run up to step 200; "
    "it keeps those rows and gets only later ones.\n"
)


@pytest.mark.parametrize(("start", "told"), [(100, ""), (0, HELD)], ids=["resumed", "afresh"])
def test_a_run_that_wandb_has_gets_only_what_is_new(fake, tmp_path, capsys, start, told):
    fake.global_settings.api_key = "k"
    fake.steps_on_server[run_id(info()["path"])] = 201  # rows up to step 200 are there
    drive(tracked("online", dir=tmp_path), steps=range(start, 501, 100))
    assert [step for step, _ in fake.runs[0].rows] == [300, 400, 500]
    assert capsys.readouterr().err == told


def test_a_record_given_twice_is_logged_once(fake, tmp_path):
    sink = tracked("offline", dir=tmp_path)
    sink.start(info())
    for step in (100, 100, 0, 200):
        sink.record(record(step))
    sink.finish("complete")
    assert [step for step, _ in fake.runs[0].rows] == [100, 200]


def test_the_id_depends_on_the_path_alone(monkeypatch, tmp_path):
    path = tmp_path / "runs" / "x" / "seed=0"
    assert run_id(path) == run_id(str(path)) == run_id(f"{path}/") == run_id(path / "a" / "..")
    monkeypatch.chdir(tmp_path)
    assert run_id("runs/x/seed=0") == run_id(path)
    ids = {run_id(tmp_path / f"seed={seed}") for seed in range(1000)}
    assert len(ids) == 1000
    assert all(i.isalnum() and len(i) <= 64 for i in ids)  # what W&B admits


def test_metrics_not_evaluated_are_left_out_but_divergence_is_not():
    metrics = {"test_accuracy": math.nan, "train_loss": 2.0}
    assert set(metrics) & set(row(IntervalRecord(0, 1, 100, metrics, {}))) == {"train_loss"}
    diverged = row(IntervalRecord(0, 1, 100, metrics, {"lr": 1.0}, {"lr": math.nan}, diverged=True))
    assert math.isnan(diverged["test_accuracy"])
    assert math.isnan(diverged["hypergradient/lr"])


def raising(error: BaseException) -> Callable[[], object]:
    def trouble() -> None:
        raise error

    return trouble


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("a\nb"), SystemExit(1)]
)
def test_an_error_at_any_moment_costs_one_line(fake, tmp_path, monkeypatch, capsys, moment, error):
    fake.trouble[moment] = raising(error)
    if moment == "import":
        monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    drive(tracked("offline", dir=tmp_path), seeds=(0, 1))
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("W&B stopped, the run goes on without it (")
    expected = "import of wandb halted" if moment == "import" else str(error).splitlines()[0]
    assert expected in err


@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_a_hang_at_any_moment_is_waited_for_in_bounded_time(
    fake, tmp_path, monkeypatch, capsys, moment
):
    released = threading.Event()
    fake.trouble[moment] = lambda: released.wait(60)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    sink = tracked("offline", dir=tmp_path, start_seconds=0.1, finish_seconds=0.1)
    start = time.monotonic()
    drive(sink, seeds=(0, 1))
    seconds = time.monotonic() - start
    released.set()
    assert 0.2 <= seconds < 2.0
    what = "start" if moment in ("setup", "init") else "finish"
    assert capsys.readouterr().err == (
        f"W&B stopped, the run goes on without it (it did not {what} within 0 s)\n"
    )


def test_logging_does_not_wait_for_a_service_that_hangs(fake, tmp_path):
    released = threading.Event()
    fake.trouble["log"] = lambda: released.wait(60)
    sink = tracked("offline", dir=tmp_path)
    sink.start(info())
    start = time.monotonic()
    for step in range(0, 10_000, 100):
        sink.record(record(step))
    assert time.monotonic() - start < 1.0
    released.set()
    sink.finish("complete")
    assert len(fake.runs[0].rows) == 100  # nothing was lost when it woke up


def test_no_more_threads_and_an_odd_record_cost_one_line(fake, tmp_path, monkeypatch, capsys):
    sink = tracked("offline", dir=tmp_path)
    sink.start(info())
    sink.record(IntervalRecord(0, 0, 0, {"test_accuracy": "high"}, {}))  # pyright: ignore
    sink.finish("complete")
    assert "must be real number" in capsys.readouterr().err
    exhausted = raising(RuntimeError("can't start new thread"))
    monkeypatch.setattr(threading.Thread, "start", lambda thread: exhausted())
    drive(tracked("offline", dir=tmp_path))
    assert capsys.readouterr().err == (
        "W&B stopped, the run goes on without it (RuntimeError: can't start new thread)\n"
    )


def test_a_directory_that_cannot_be_made_costs_one_line(fake, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    drive(tracked("offline", dir=tmp_path / "file" / "out"))
    assert "NotADirectoryError" in capsys.readouterr().err
    assert fake.runs == []


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with what the first two parts of the asked path say: code and body."""

    def do_POST(self) -> None:
        assert b"{__typename}" in self.rfile.read(int(self.headers["Content-Length"]))
        code, body, endpoint = self.path.strip("/").split("/")
        assert endpoint == "graphql"
        self.send_response(int(code))
        self.end_headers()
        self.wfile.write(BODIES[body])

    def log_message(self, format: str, *arguments: Any) -> None: ...


BODIES = {
    "json": b'{"data": {"__typename": "Query"}}',
    "html": b"<html><body>It works!</body></html>",
    "none": b"",
    "bytes": b"\xff\xfe\x00",
    "long": b"[" + b"0," * 50_000 + b"0]",
}


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


ANSWERS = [
    (200, "json", True),
    (400, "json", True),
    (401, "json", True),
    (403, "html", True),  # of a proxy, through which W&B may come
    (200, "html", False),
    (200, "none", False),
    (200, "bytes", False),
    (200, "long", False),
    (404, "json", False),
    (405, "html", False),
    (500, "json", False),
    (503, "html", False),
]


@pytest.mark.parametrize(("code", "body", "known"), ANSWERS)
def test_a_server_is_there_if_it_answers_as_wandb_does(server, code, body, known):
    reason = f"{server[7:]} answers HTTP {code}, and not as W&B would"
    assert module.unreachable(f"{server}/{code}/{body}", 5.0) == (None if known else reason)


@pytest.mark.parametrize("mode", ["auto", "online"])
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/500/html", " answers HTTP 500, and not as W&B would"),
        ("", ": [Errno 111] Connection refused"),
    ],
)
def test_another_server_or_none_leaves_offline_runs(
    fake, tmp_path, capsys, server, path, told, mode
):
    host = server[7:]
    if not path:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            host = f"127.0.0.1:{closed.getsockname()[1]}"
    fake.global_settings.api_key = "k"
    fake.global_settings.base_url = f"http://{host}{path}"
    drive(tracked(mode, dir=tmp_path), seeds=(0, 1))
    assert [run.arguments["mode"] for run in fake.runs] == ["offline", "offline"]
    assert [len(run.rows) for run in fake.runs] == [4, 4]
    line = f"W&B cannot be used online, so its runs are kept offline ({host}{told})\n"
    assert capsys.readouterr().err == line


def test_a_server_that_takes_no_run_leaves_it_offline_under_its_own_id(fake, tmp_path, capsys):
    fake.global_settings.api_key = "k"
    fake.trouble["init online"] = raising(RuntimeError("returned error 500:\n  oops" + "!" * 999))
    drive(tracked("auto", dir=tmp_path), seeds=(0, 1))
    assert [run.arguments["mode"] for run in fake.runs] == ["offline", "offline"]
    assert [run.arguments["id"] for run in fake.runs] == [run_id(info(s)["path"]) for s in (0, 1)]
    assert [len(run.rows) for run in fake.runs] == [4, 4]
    (line,) = capsys.readouterr().err.splitlines()
    assert "so its runs are kept offline (returned error 500: oops!!!" in line
    assert len(line) < 300


def test_a_later_run_that_fails_takes_no_earlier_one_along(fake, tmp_path, capsys):
    fake.global_settings.api_key = "k"
    fake.trouble["teardown"] = raising(AssertionError("this would end the first run"))
    sink = tracked("online", dir=tmp_path)
    sink.start(info(0))
    fake.trouble["init online"] = raising(TimeoutError("no answer"))
    for seed in (1, 2):
        sink.start(info(seed))
        sink.record(record(100, seed))
    sink.record(record(100, 0))
    sink.finish("complete")
    ids = [run_id(info(seed)["path"]) for seed in range(3)]
    assert [run.arguments["id"] for run in fake.runs] == [ids[0], f"{ids[1]}-offline", ids[2]]
    assert [run.arguments["mode"] for run in fake.runs] == ["online", "offline", "offline"]
    assert [(len(run.rows), run.exit_code) for run in fake.runs] == [(1, 0)] * 3
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("error", [ConnectionResetError(), SystemExit(2)])
def test_a_service_that_has_died_is_started_again(fake, tmp_path, capsys, error):
    fake.global_settings.api_key = "k"
    fake.trouble = {"init online": raising(TimeoutError()), "teardown": raising(error)}
    drive(tracked("online", dir=tmp_path))
    assert fake.runs[0].arguments["mode"] == "offline"
    assert "so its runs are kept offline (TimeoutError())" in capsys.readouterr().err


def test_what_fails_offline_too_costs_one_line(fake, tmp_path, capsys):
    fake.global_settings.api_key = "k"
    fake.trouble["init"] = raising(OSError(28, "No space left on device"))
    drive(tracked("online", dir=tmp_path))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("W&B stopped, the run goes on without it (OSError")


def test_a_start_may_be_a_question_then_a_run_that_fails_and_another():
    sink = WandbSink(start_seconds=20.0, finish_seconds=7.0)
    assert sink.patience == {"start": 10 + 20 + 2 * 15, "finish": 7 + 15}


def test_no_address_is_no_server():
    assert "unknown url type" in str(module.unreachable("nothing", 1.0))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("WANDB_API_KEY", "k\n", "WANDB_API_KEY holds white space, set it without"),
        ("WANDB_API_KEY", "k k", "WANDB_API_KEY holds white space, set it without"),
        ("WANDB_API_KEY", " ", "WANDB_API_KEY holds white space, set it without"),
        (
            "WANDB_BASE_URL",
            "w.org",
            "WANDB_BASE_URL is no address, which would start with https://",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "online", "offline"])
def test_a_variable_that_wandb_refuses_is_told_and_kept_from_it(
    fake, tmp_path, monkeypatch, capsys, name, value, reason, mode
):
    monkeypatch.setenv("WANDB_API_KEY", "k")
    monkeypatch.setenv(name, value)
    line = f"W&B cannot be used online, so its runs are kept offline ({reason})\n"
    for _ in range(2):  # a second program run in the same process is told as well
        drive(tracked(mode, dir=tmp_path), seeds=(0, 1))
        assert name not in fake.seen_by_setup
        assert os.environ[name] == value
        assert capsys.readouterr().err == ("" if mode == "offline" else line)
    assert {run.arguments["mode"] for run in fake.runs} == {"offline"}


@pytest.mark.parametrize(
    ("mode", "key", "configured", "expected", "told"),
    [
        ("auto", None, "online", "offline", ""),
        ("auto", "k", "online", "online", ""),
        ("auto", "k", "offline", "offline", ""),  # WANDB_MODE or `wandb offline`
        ("auto", "k", "disabled", "disabled", ""),
        ("auto", "k\n", "disabled", "disabled", ""),  # a refused key that is not needed
        ("online", "k", "offline", "online", ""),  # what is typed wins
        ("online", None, "online", "offline", "(no API key is configured"),
        ("offline", "k", "online", "offline", ""),
    ],
)
def test_mode_follows_what_is_typed_then_settings_then_the_key(
    fake, tmp_path, monkeypatch, capsys, mode, key, configured, expected, told
):
    fake.global_settings.mode = configured
    if key is not None:
        monkeypatch.setenv("WANDB_API_KEY", key)
    drive(tracked(mode, dir=tmp_path))
    assert fake.runs[0].arguments["mode"] == expected
    err = capsys.readouterr().err
    assert told in err if told else err == ""


def test_a_mode_that_is_none_is_the_users_error():
    with pytest.raises(UserError, match="auto, online, offline"):
        WandbSink("onlin")


@pytest.mark.parametrize("project", [*"/\\#?%:", "a/b", "p" * 129, "a\n:" + "p" * 20])
def test_a_project_that_wandb_refuses_is_the_users_error(fake, monkeypatch, project):
    with pytest.raises(UserError, match=r"tracker\.project \(or WANDB_PROJECT\)") as error:
        WandbSink(project=project)
    assert repr(project) in str(error.value)
    monkeypatch.setenv("WANDB_PROJECT", project)
    with pytest.raises(UserError, match=r"tracker\.project \(or WANDB_PROJECT\)"):
        WandbSink()
    assert WandbSink(project="p" * 128).project == "p" * 128  # what is typed is what counts


@pytest.mark.parametrize("tag", ["", "t" * 65, "t" * 70])
def test_a_tag_that_wandb_refuses_is_the_users_error(fake, monkeypatch, tag):
    with pytest.raises(UserError, match=rf"of {len(tag)} letters: .* 1 to 64 letters\.$"):
        WandbSink(tags=["a", tag])
    monkeypatch.setenv("WANDB_TAGS", f"a,{tag}")
    if tag:
        with pytest.raises(UserError, match="WANDB_TAGS"):
            WandbSink()
    else:
        assert WandbSink().tags == ["a"]
    assert WandbSink(tags=["t" * 64]).tags == ["t" * 64]


VARIABLES = {
    "WANDB_PROJECT": "theirs",
    "WANDB_TAGS": " a, b,,",
    "WANDB_NAME": "name",
    "WANDB_RUN_GROUP": "group",
}


def test_what_is_typed_wins_over_a_variable_and_that_over_the_default(fake, tmp_path, monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    drive(tracked("offline", dir=tmp_path))
    drive(tracked("offline", dir=tmp_path, project="mine", tags=["t"], entity="e"))
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    drive(tracked("offline", dir=tmp_path))
    keys = ("project", "tags", "entity", "name", "group")
    group = "fmnist_lenet_sgd/glocal-0a1b2c3d"
    assert [[run.arguments[key] for key in keys] for run in fake.runs] == [
        ["theirs", ["a", "b"], None, "name", "group"],  # W&B itself looks for WANDB_ENTITY
        ["mine", ["t"], "e", "name", "group"],
        ["glocal", [], None, f"{group}/seed=0", group],
    ]
    # W&B would refuse empty ones, and ones that are overridden all the same
    assert not {"WANDB_PROJECT", "WANDB_TAGS"} & set(fake.seen_by_setup)


@pytest.mark.parametrize("home", ["writable", "missing", "read-only", "unset", "unknown"])
def test_wandb_is_shown_a_place_where_there_is_no_home_to_write_into(
    fake, tmp_path, monkeypatch, home
):
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: home == "writable" and os.path.isdir(path))
    if home == "missing":
        (tmp_path / "home").rmdir()
    elif home in ("unset", "unknown"):
        monkeypatch.delenv("HOME")
        known = "~" if home == "unknown" else str(tmp_path / "home")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", known))
    drive(tracked("offline", dir=tmp_path / "out"))
    told = {"missing": {"CACHE", "DATA", "CONFIG"}, "writable": set()}
    told["unknown"] = told["missing"]
    seen = {name: value for name, value in fake.seen_by_setup.items() if name.endswith("_DIR")}
    assert seen == {
        f"WANDB_{name}_DIR": str(tmp_path / "out" / "wandb" / "home" / name.lower())
        for name in told.get(home, {"CACHE", "DATA"})
    }


def test_a_place_that_the_user_has_chosen_is_kept(fake, tmp_path, monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("WANDB_CACHE_DIR", "/elsewhere")
    drive(tracked("offline", dir=tmp_path))
    assert fake.seen_by_setup["WANDB_CACHE_DIR"] == "/elsewhere"


FORGE = "https://api.forge.coreweave.com"


@pytest.mark.parametrize(
    ("text", "url", "expected"),
    [
        (None, "https://api.wandb.ai", False),
        ("machine api.wandb.ai login user password k\n", "https://api.wandb.ai", True),
        ("machine api.wandb.ai login user password k\n", FORGE, True),
        ("machine api.forge.coreweave.com login user password k\n", FORGE, True),
        ("machine github.com login user password k\n", "https://api.wandb.ai", False),
        ("machine own.server:8080 login user password k\n", "http://own.server:8080", True),
        ("machine api.wandb.ai login user password k\n", "http://own.server:8080", False),
        ("this is no netrc\n", "https://api.wandb.ai", False),
        ("\udcff\n", "https://api.wandb.ai", False),
    ],
)
@pytest.mark.parametrize("place", ["NETRC", "home"])
def test_a_key_in_netrc_counts_for_its_own_host(
    fake, monkeypatch, tmp_path, text, url, expected, place
):
    home = Path(tmp_path / "home")
    home.mkdir()
    path = home / ".netrc" if place == "home" else tmp_path / "elsewhere"
    if place == "NETRC":
        monkeypatch.setenv("NETRC", str(path))
    if text is not None:
        path.write_bytes(os.fsencode(text))
    assert has_key(url) is expected


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"])
def test_a_key_in_the_environment_counts(fake, monkeypatch, name):
    assert not has_key("https://api.wandb.ai")
    monkeypatch.setenv(name, "k")
    assert has_key("https://api.wandb.ai")


@pytest.mark.parametrize(
    ("tracker", "mode"), [("auto", "auto"), ("wandb", "online"), ("wandb_offline", "offline")]
)
def test_configs_make_the_sink_they_are_named_after(fake, tmp_path, tracker, mode):
    fake.global_settings.api_key = "k"
    with hydra.initialize_config_dir(str(CONFIGS), version_base=None):
        overrides = [f"+tracker={tracker}", f"+output_dir={tmp_path}", "tracker.tags=[x]"]
        config = hydra.compose(overrides=overrides)
    assert config.tracker.mode == mode
    drive(Fanout([instantiate(config.tracker)]))
    arguments = fake.runs[0].arguments
    assert arguments["mode"] == ("offline" if mode == "offline" else "online")
    assert (arguments["project"], arguments["entity"]) == ("glocal", None)
    assert (arguments["dir"], arguments["tags"]) == (str(tmp_path), ["x"])


def test_the_tracker_none_is_no_tracker():
    with hydra.initialize_config_dir(str(CONFIGS), version_base=None):
        config = hydra.compose(overrides=["+tracker=none"])
    assert type(instantiate(config.tracker)) is Sink


def test_importing_the_package_imports_no_wandb():
    program = "import sys, glocal_exp.tracking; sys.exit('wandb' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
