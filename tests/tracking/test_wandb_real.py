"""The real W&B, in programs of their own, offline or with a server of ours; its files are read."""

import contextlib
import functools
import http.server
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glocal_exp.tracking.wandb import run_id

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import contextlib, glob, os, signal, sys, time
from glocal_exp.records import IntervalRecord
from glocal_exp.tracking import Fanout, WandbSink

def tracked(*arguments, **settings):
    return Fanout([WandbSink(*arguments, **settings)])

def info(seed):
    return {"experiment": "e", "variant": "glocal-0a1b2c3d", "method": "glocal", "seed": seed,
            "path": f"runs/e/seed={seed}", "data": "d",
            "config": {"task": {"init": {"momentum": 0.9}}}}

def record(step, seed):
    return IntervalRecord(seed, step // 100, step, {"test_accuracy": (step + seed) / 1000},
                          {"momentum": 0.9}, {"momentum": -0.25}, seconds=1.5)

def signal_service(number):
    service = []
    for name in glob.glob("/proc/[0-9]*/status"):
        with contextlib.suppress(OSError):  # a process that has just ended
            status = open(name).read()
            if f"PPid:\\t{os.getpid()}\\n" in status and "wandb" in status.splitlines()[0]:
                service.append(int(name.split("/")[2]))
    assert len(service) == 1, service
    os.kill(service[0], number)
    return service[0]
"""
BLOCK, HEADER = 32768, 7
pytestmark = pytest.mark.slow
STRANGER = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")
linux = pytest.mark.skipif(sys.platform != "linux", reason="finds W&B's service in /proc")


def records(path: Path) -> Iterator[Any]:
    """The records of a `.wandb` file: LevelDB's log format, of W&B's protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore[reportAttributeAccessIssue]

    data = path.read_bytes()
    assert data[:4] == b":W&B"
    at, parts = HEADER, []
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += HEADER
        parts.append(data[at : at + length])
        at += length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(b"".join(parts))
            parts = []


def read(path: Path) -> dict[str, Any]:
    """Rows, configuration, summary and end of one offline run."""
    found: dict[str, Any] = {"rows": [], "config": {}, "summary": {}}
    for entry in records(path):
        kind = entry.WhichOneof("record_type")
        if kind == "history":
            found["rows"].append(
                {
                    i.key or "/".join(i.nested_key): json.loads(i.value_json)
                    for i in entry.history.item
                }
            )
        elif kind == "run":
            found["id"], found["project"] = entry.run.run_id, entry.run.project
            found["name"], found["group"] = entry.run.display_name, entry.run.run_group
            found["entity"], found["notes"] = entry.run.entity, entry.run.notes
            found["tags"] = list(entry.run.tags)
            found["config"] |= {u.key: json.loads(u.value_json) for u in entry.run.config.update}
        elif kind == "summary":
            found["summary"] |= {u.key: json.loads(u.value_json) for u in entry.summary.update}
        elif kind == "exit":
            found["exit_code"] = entry.exit.exit_code
    return found


def run(tmp_path: Path, body: str, *prefix: str, **environment: str) -> tuple[int, str, str]:
    """Run the body in an empty working directory and without the user's W&B: code, out, err.

    The prefix is a command that runs a command.
    """
    for folder in ("cwd", "home"):
        (tmp_path / folder).mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB") and k != "NETRC"}
    out, err = tmp_path / "stdout", tmp_path / "stderr"
    # files, since a W&B service that hangs would hold pipes open after the program has ended
    with out.open("w") as stdout, err.open("w") as stderr:
        ended = subprocess.run(
            [*prefix, sys.executable, "-c", PROGRAM + body],
            check=False,
            stdout=stdout,
            stderr=stderr,
            timeout=60,
            cwd=tmp_path / "cwd",
            env=kept | {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)} | environment,
        )
    return ended.returncode, out.read_text(), err.read_text()


TRAIN = """
def train(sink, steps, status):
    for seed in (0, 1):
        sink.start(info(seed))
    print("printed by the run")
    for step in steps:
        for seed in (0, 1):
            sink.record(record(step, seed))
    sink.finish(status)

"""


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """Two seeds of 300 steps, interrupted after 200 and resumed from 100 by a second program.

    The first has a key, but a server that never answers; the second has none.
    """
    tmp_path = tmp_path_factory.mktemp("offline")
    sink = f"tracked(dir={str(tmp_path / 'out')!r}, tags=['t'], start_seconds=1)"
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes calls, says nothing
        host = f"127.0.0.1:{server.getsockname()[1]}"
        first = run(
            tmp_path,
            f"{TRAIN}train({sink}, (0, 100, 200), 'interrupted')",
            WANDB_API_KEY="0" * 40,
            WANDB_BASE_URL=f"http://{host}",
        )
    assert first == (
        0,
        "printed by the run\n",
        f"W&B cannot be used online, so its runs are kept offline ({host}: timed out)\n",
    )
    second = run(tmp_path, f"{TRAIN}train({sink}, (200, 300), 'complete')")
    assert second == (0, "printed by the run\n", "")
    assert list((tmp_path / "cwd").iterdir()) == []
    return tmp_path / "out"


def test_offline_files_hold_the_rows_the_configuration_and_the_end(out):
    assert [path.name for path in out.iterdir()] == ["wandb"]
    programs = defaultdict(list)
    for path in sorted(out.glob("wandb/offline-run-*/run-*.wandb")):
        found = read(path)
        assert path.parent.name.endswith(found["id"])
        programs[found["config"]["seed"]].append(found)
    assert sorted(programs) == [0, 1]
    for seed, (first, second) in programs.items():
        assert [row["_step"] for row in first["rows"]] == [0, 100, 200]
        assert [row["_step"] for row in second["rows"]] == [200, 300]
        for row in first["rows"] + second["rows"]:
            assert row["test_accuracy"] == (row["_step"] + seed) / 1000
            assert row["hyperparameter/momentum"] == 0.9
            assert row["hypergradient/momentum"] == -0.25
            assert row["step"] == row["_step"]
            assert row["seconds"] == 1.5
        assert (first["exit_code"], second["exit_code"]) == (255, 0)
        assert second["summary"]["status"] == "complete"
        for found in (first, second):
            assert found["config"]["task"] == {"init": {"momentum": 0.9}}
            assert found["config"]["variant"] == "glocal-0a1b2c3d"
            assert (found["project"], found["tags"]) == ("glocal", ["t"])
            assert found["name"] == f"e/glocal-0a1b2c3d/seed={seed}"
            assert found["group"] == "e/glocal-0a1b2c3d"


def test_a_resumed_run_keeps_its_id_and_seeds_have_their_own(out):
    ids = [path.stem for path in out.glob("wandb/offline-run-*/run-*.wandb")]
    assert (len(ids), len(set(ids))) == (4, 2)


def test_offline_files_hold_no_code_and_no_console(out):
    files = {path.name for path in out.glob("wandb/*/files/**/*") if path.is_file()}
    assert not files & {"output.log", "requirements.txt", "diff.patch"}
    assert not any(name.endswith(".py") for name in files)


@linux
def test_a_full_disk_is_silent_and_a_service_that_dies_costs_one_line(tmp_path):
    code, out, err = run(
        tmp_path,
        """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))  # writes beyond fail, as on a full disk
sink = tracked("offline", dir="../out")
sink.start(info(0))
sink.record(record(0, 0))
signal_service(signal.SIGKILL)
time.sleep(0.2)
for step in (100, 200):
    sink.record(record(step, 0))
sink.finish("complete")
print("trained")
""",
    )
    assert (code, out) == (0, "trained\n")
    assert len(err.splitlines()) == 1, err
    assert err.startswith("W&B stopped, the run goes on without it (")


@linux
def test_a_service_that_hangs_holds_up_neither_the_run_nor_its_end(tmp_path):
    code, out, err = run(
        tmp_path,
        """
from glocal_exp.tracking import sink as sinks, wandb
wandb.GRACE_SECONDS, sinks.EXIT_SECONDS = 0.0, 0.5
sink = tracked("offline", dir="../out", finish_seconds=0.5)
sink.start(info(0))
print(signal_service(signal.SIGSTOP))
print(time.monotonic())
sink.record(record(0, 0))
sink.finish("complete")
print(time.monotonic())
""",
    )
    ended = time.monotonic()
    service, stopped, finished = out.split()
    os.kill(int(service), signal.SIGKILL)
    assert code == 0
    assert err == "W&B stopped, the run goes on without it (it did not finish within 0 s)\n"
    assert 0.5 <= float(finished) - float(stopped) < 3
    assert 0.5 <= ended - float(finished) < 3


class Server(http.server.BaseHTTPRequestHandler):
    """Answers W&B's questions with `code` and `body`, or too late; the sink's own as it would."""

    def __init__(self, code: int, body: bytes, knows: bool, seconds: float, *arguments: Any):
        self.code, self.body, self.knows, self.seconds = code, body, knows, seconds
        super().__init__(*arguments)

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.knows and asked == b'{"query": "{__typename}"}'
        time.sleep(0 if known else self.seconds)
        body = b'{"data": {"__typename": "Query"}}' if known else self.body
        self.send_response(200 if known else self.code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):  # nobody waits for an answer that is too late
            super().handle_one_request()

    def log_message(self, format: str, *arguments: Any) -> None: ...


@contextlib.contextmanager
def serving(code: int, body: bytes, knows: bool, seconds: float = 0.0) -> Iterator[str]:
    handler = functools.partial(Server, code, body, knows, seconds)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def offline_rows(tmp_path: Path) -> list[int]:
    """How many rows the offline runs of the two seeds hold, each under the seed's own id."""
    found = [read(path) for path in tmp_path.glob("out/wandb/offline-run-*/run-*.wandb")]
    ids = {run_id(tmp_path / "cwd" / f"runs/e/seed={seed}") for seed in (0, 1)}
    assert {run["id"] for run in found} == ids
    return [len(run["rows"]) for run in found]


UNKNOWN = "{} answers HTTP %d, and not as W&B would"
SERVERS = [
    (500, b"oops", 0.0, UNKNOWN % 500, "HTTP 500: oops"),
    (404, b"oops", 0.0, UNKNOWN % 404, "returned error 404"),
    (200, b"<html>It works!</html>", 0.0, UNKNOWN % 200, "invalid character '<'"),
    (200, b"", 0.0, UNKNOWN % 200, "EOF"),
    (200, b"{}", 6.0, "{}: timed out", "context deadline exceeded"),
    (401, b'{"errors": [{"message": "no"}]}', 0.0, "401", "401"),  # which is W&B's to find out
]


@pytest.mark.parametrize("knows", [False, True])
@pytest.mark.parametrize(("code", "body", "seconds", "told", "failed"), SERVERS)
def test_a_server_that_takes_no_runs_leaves_them_offline(
    tmp_path, code, body, seconds, told, failed, knows
):
    """Told so by the sink's own question or, if the server `knows` that one, by W&B."""
    with serving(code, body, knows, seconds) as host:
        program = f"{TRAIN}train(tracked(dir='../out', start_seconds=3), (0, 100), 'complete')"
        key = "0" * 40
        ended = run(tmp_path, program, WANDB_API_KEY=key, WANDB_BASE_URL=f"http://{host}")
    assert ended[:2] == (0, "printed by the run\n")
    (line,) = ended[2].splitlines()
    assert line.startswith("W&B cannot be used online, so its runs are kept offline (")
    assert (failed if knows else told.format(host)) in line
    assert offline_rows(tmp_path) == [2, 2]


FILES = {
    "netrc": (".netrc", 'machine {host} login user password "{key}"\n'),
    "settings": (".config/wandb/settings", "[default]\napi_key = {key}\n"),
}
KEYS = [
    ("variable", "0" * 40 + "\n", "WANDB_API_KEY holds white space, set it without"),
    ("variable", "0" * 20 + " " + "0" * 20, "WANDB_API_KEY holds white space, set it without"),
    ("variable", "short", "WANDB_API_KEY invalid: API key must have 40+ characters, has 5."),
    ("netrc", "0" * 40 + "\n", "API key may only contain the letters A-Z"),
    ("netrc", "0" * 20 + " " + "0" * 20, "API key may only contain the letters A-Z"),
    ("settings", "0" * 20 + " " + "0" * 20, "API key may only contain the letters A-Z"),
]


@pytest.mark.parametrize(("place", "key", "reason"), KEYS)
def test_a_key_that_wandb_refuses_leaves_runs_offline(tmp_path, place, key, reason):
    with serving(404, b"", knows=True) as host:
        variables = {"WANDB_BASE_URL": f"http://{host}"}
        if place == "variable":
            variables["WANDB_API_KEY"] = key
        else:
            name, text = FILES[place]
            (tmp_path / "home" / name).parent.mkdir(parents=True)
            (tmp_path / "home" / name).write_text(text.format(host=host, key=key))
        program = f"{TRAIN}train(tracked('online', dir='../out'), (0, 100), 'complete')"
        code, out, err = run(tmp_path, program, **variables)
    assert (code, out, len(err.splitlines())) == (0, "printed by the run\n", 1), err
    assert err.startswith(f"W&B cannot be used online, so its runs are kept offline ({reason}")
    assert offline_rows(tmp_path) == [2, 2]


def test_variables_of_wandb_name_and_describe_the_runs(tmp_path):
    names = ("PROJECT", "NAME", "RUN_GROUP", "ENTITY", "NOTES")
    variables = {f"WANDB_{name}": f"my {name.lower()}" for name in names}
    program = f"{TRAIN}train(tracked(dir='../out'), (0,), 'complete')"
    ended = run(tmp_path, program, **variables, WANDB_TAGS="a,,b")
    assert ended == (0, "printed by the run\n", "")
    for path in (tmp_path / "out").glob("wandb/offline-run-*/run-*.wandb"):
        found = read(path)
        keys = ("project", "name", "group", "entity", "notes", "tags")
        assert [found[key] for key in keys] == [*variables.values(), ["a", "b"]]


HOMES = {
    "none": ("env", "-u", "HOME"),
    "none, nor the user known": ("env", "-u", "HOME", *STRANGER),
    "missing": ("env", "HOME=/nonexistent", *STRANGER),
    "read-only": ("env", "HOME=/", *STRANGER),
}


@pytest.mark.parametrize("home", HOMES)
def test_runs_are_kept_where_there_is_no_home_to_write_into(home):
    prefix = HOMES[home]
    if STRANGER[0] in prefix and (os.getuid() or not shutil.which(STRANGER[0])):
        pytest.skip("only root can become a user who is not known")
    program = f"{TRAIN}train(tracked(dir='../out'), (0, 100), 'complete')"
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chmod(folder, 0o777)
        for name in ("cwd", "home", "out"):
            Path(folder, name).mkdir()
            os.chmod(Path(folder, name), 0o777)
        assert run(Path(folder), program, *prefix) == (0, "printed by the run\n", "")
        assert offline_rows(Path(folder)) == [2, 2]
        assert list(Path(folder, "cwd").iterdir()) == []


def test_a_run_of_objects_is_logged_beside_its_store(tmp_path):
    """`run(..., store=...)` of a problem of one's own, in a folder that gets nothing of it."""
    program = (
        "from tests import ridge\nfrom glocal_exp.app.own import run\n"
        "sizes = {'steps': 60, 'interval': 30, 'batch_size': 50, 'tracker': 'wandb_offline'}\n"
        f"run(ridge.Ridge(), ridge.splits, ridge.glocal, store={str(tmp_path / 'out/runs')!r},"
        " name='mine', **sizes)"
    )
    here = tmp_path / "here"
    here.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=here, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (log,) = tmp_path.glob("out/wandb/offline-run-*/run-*.wandb")
    assert log.stat().st_size > 0
    assert list(here.iterdir()) == []
