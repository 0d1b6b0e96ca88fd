"""The Ray engine: what is refused before any work, and a real cluster of two nodes of which one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY
from daguan.__main__ import main
from daguan.core.errors import ConfigError
from daguan.core.runs import CHECKPOINT
from daguan.families.job import JOB
from daguan.pipeline.engines import ray_engine
from daguan.pipeline.settings import load

ON_A_CLUSTER = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install 'daguan[ray]'")
SMALL = [*TINY, "train.epochs=40", "model.ngram_buckets=4096"]
SMALL += ["engine.workers=2", "engine.threads=1", "engine.device=cpu"]  # each node begins with a tagger
STARTED = "Ray runtime started"
PATIENCE = float(os.environ.get("PATIENCE", "300"))  # seconds for a step of the cluster, on a busy machine


def test_without_ray_nothing_is_begun(
    contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_engine, "find_spec", lambda name: None)
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path / 'work'}", "engine.kind=ray"]
    for command in ("run", "pretrain", "train"):
        assert main([command, *words]) == 2
        assert capsys.readouterr().err.splitlines() == [
            "daguan: engine.kind: expected the package ray, got none; run: pip install 'daguan[ray]'"
        ]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"expected a Ray cluster at 127\.0\.0\.1:1, got: .*refused; run `ray start --head` here"),
        ("nowhere", "expected auto or HOST:PORT, got 'nowhere'"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^engine\.address: {message}"):
        ray_engine.require_answer(address)


def test_settings_of_ray_are_refused_with_another_engine() -> None:
    with pytest.raises(ConfigError, match=r"engine\.memory: expected 2\.0 unless engine\.kind is ray, got 3\.0"):
        load(["engine.memory=3"])
    assert load(["engine.kind=ray", "engine.memory=3"]).engine.memory == 3


@ON_A_CLUSTER
def test_a_killed_node_changes_no_byte(contest: Path, tmp_path: Path) -> None:
    """Two folds of two families on two nodes of one core. The second node is lost while it trains a tagger."""
    local = daguan(contest, tmp_path / "local", "engine.kind=local")
    assert local.wait(PATIENCE) == 0
    files = f"/tmp/{tmp_path.name[:20]}-{os.getpid()}"  # sockets have paths of at most 107 bytes
    options = ("--head", "--include-dashboard=false", "--port=0", f"--temp-dir={files}")
    with node(tmp_path / "head.log", *options) as head:
        address = address_of(files)
        with node(tmp_path / "second.log", f"--address={address}", "--node-ip-address=127.0.0.2") as second:
            run = daguan(contest, tmp_path / "ray", "engine.kind=ray", f"engine.address={address}", "engine.memory=0.5")
            until(lambda: any((folder / CHECKPOINT).is_file() for folder in taggers_on(second)), run)
            lose(second)
            assert run.wait(PATIENCE) == 0
        assert head.poll() is None
    (expected,), (found,) = (list((tmp_path / name / "submissions").glob("*.txt")) for name in ("local", "ray"))
    assert found.name == expected.name
    assert found.read_bytes() == expected.read_bytes()
    assert_same_jobs(tmp_path)


def assert_same_jobs(folder: Path) -> None:
    """The folders of jobs have the same files in them, and the same threads in their results."""
    local, ray = (
        {path.relative_to(folder / name / "work").parent: path for path in (folder / name / "work").rglob(JOB)}
        for name in ("local", "ray")
    )
    assert local.keys() == ray.keys()
    for where, path in local.items():
        files, others = ({file.name for file in one.parent.iterdir()} for one in (path, ray[where]))
        assert files == others
        assert '"threads": 1' in path.read_text("utf-8")
        assert '"threads": 1' in ray[where].read_text("utf-8")


def daguan(contest: Path, folder: Path, *changes: str) -> subprocess.Popen[str]:
    places = [f"data.dir={contest}", f"data.work={folder}/work", f"data.submissions={folder}/submissions"]
    return subprocess.Popen([sys.executable, "-m", "daguan", "run", *SMALL, *places, *changes], text=True)


@contextmanager
def node(log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A node of one core in a session of its own, which ends with the context."""
    words = ["start", "--block", "--num-cpus=1", *options]
    waits = ("raylet_start_wait_time_s", "worker_register_timeout_seconds", "gcs_server_request_timeout_seconds")
    environment = os.environ | {f"RAY_{name}": f"{PATIENCE:.0f}" for name in waits} | {"RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *words], stdout=file, stderr=file, env=environment,
            start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: STARTED in log.read_text("utf-8"), started)
        yield started
    finally:
        lose(started)
        started.wait()


def lose(started: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a node, Ray's before those that it started."""
    for process in sorted(map(int, in_session(started, "pid="))):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def in_session(started: subprocess.Popen[bytes], column: str) -> list[str]:
    """Return a column of `ps` for the processes of a node."""
    words = ["ps", "-ww", "-o", column, "-s", str(started.pid)]
    return subprocess.run(words, text=True, capture_output=True, check=False).stdout.splitlines()


def taggers_on(started: subprocess.Popen[bytes]) -> list[Path]:
    """Return the folders of taggers' jobs that run on a node."""
    lines = [line for line in in_session(started, "args=") if "daguan.pipeline.engines.worker" in line]
    return [Path(line.split()[-1]).parent for line in lines if "/tagger-" in line]


def address_of(folder: str) -> str:
    """Return the address of the head whose files are in a folder."""
    (port,) = (Path(folder) / "session_latest").glob("gcs_server_port_*")
    return f"127.0.0.1:{port.read_text('ascii')}"


def until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait, while the process lives."""
    since = time.monotonic()
    while not condition():
        assert process.poll() is None
        assert time.monotonic() - since < PATIENCE
        time.sleep(0.1)
