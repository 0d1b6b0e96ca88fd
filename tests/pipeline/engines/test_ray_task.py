"""What a node of a Ray cluster does, without Ray: its functions take plain text and numbers."""

from __future__ import annotations

import json
import os
import signal
import time
from _thread import interrupt_main
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock

from daguan.core.errors import ConfigError, StoppedError
from daguan.core.progress import Progress
from daguan.pipeline.engines.local import LOG, LocalEngine
from daguan.pipeline.engines.ray_task import PROGRESS, check_node, do, progress_in, versions

HERE = str(Path(__file__).parents[3])


def test_a_node_that_shares_the_folder_is_accepted_and_says_whether_locks_hold(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path):
        assert check_node(versions(), HERE, str(path)) == ("", True)
    path.touch()
    assert check_node(versions(), HERE, str(path)) == ("", False)


def test_a_node_that_is_not_like_the_command_is_refused_in_one_line(tmp_path: Path) -> None:
    other = versions() | {"torch": "1.0", "daguan's code": "0"}
    problem, _ = check_node(other, HERE, str(tmp_path))
    code, torch = versions()["daguan's code"], versions()["torch"]
    assert f"got daguan's code {code} instead of 0, torch {torch} instead of 1.0" in problem
    assert "share it" in check_node(versions(), f"{tmp_path}/none", "lock")[0]
    assert "on a disk that all nodes share" in check_node(versions(), HERE, str(tmp_path / "lock"))[0]
    number, message = do(other, HERE, nap(tmp_path, 0), 0)
    assert (number, "instead of 1.0" in message) == (ConfigError.exit_code, True)
    assert not (tmp_path / "job").exists()


def nap(folder: Path, seconds: float) -> tuple[str, str, int, str, int, str]:
    return "nap", str(folder / "job"), 1, json.dumps({"seconds": seconds}), 1, "benchmarks.sleeper"


def test_a_task_does_a_job_and_says_why_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert do(versions(), HERE, nap(tmp_path, 0.0), 0) == (0, "")
    assert {path.name for path in (tmp_path / "job").iterdir()} >= {"job.json", "result.json", LOG}
    assert progress_in(tmp_path / "job") is None  # nothing is left of it
    name, _, threads, _, processes, worker = nap(tmp_path, 0.0)
    code, message = do(versions(), HERE, (name, str(tmp_path / "bad"), threads, "{}", processes, worker), 0)
    assert (code, "KeyError" in message, "\n" in message) == (2, True, False)


@pytest.mark.parametrize(("gpus", "visible"), [(0, {"CUDA_VISIBLE_DEVICES": ""}), (2, {})])
def test_a_task_sees_no_gpu_unless_it_declares_one(
    gpus: int, visible: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray names those that are declared, and leaves the variable alone where there are none."""
    monkeypatch.chdir(tmp_path)
    seen: list[object] = []
    monkeypatch.setattr(LocalEngine, "do", lambda engine, work, bar, watch, named: seen.append(named))
    assert do(versions(), HERE, nap(tmp_path, 0.0), gpus) == (0, "")
    assert seen == [visible]


def after_progress(folder: Path, act: object) -> None:
    """Call `act` when the job has reported."""

    def wait() -> None:
        while progress_in(folder / "job") is None:
            time.sleep(0.05)
        assert callable(act)
        act()

    Thread(target=wait).start()


def test_a_cancelled_task_ends_its_process_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second cancel does not end the wait for the checkpoint."""
    monkeypatch.chdir(tmp_path)
    stop = LocalEngine.stop

    def stop_when_cancelled_again(engine: LocalEngine) -> None:
        interrupt_main()
        time.sleep(0.2)
        stop(engine)

    monkeypatch.setattr(LocalEngine, "stop", stop_when_cancelled_again)
    after_progress(tmp_path, interrupt_main)  # as Ray does
    before = signal.getsignal(signal.SIGINT)
    code, message = do(versions(), HERE, nap(tmp_path, 600.0), 0)
    assert (code, "the same command continues" in message) == (StoppedError.exit_code, True)
    assert signal.getsignal(signal.SIGINT) == before


def test_a_process_that_somebody_ends_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    after_progress(tmp_path, lambda: os.kill(child_of(os.getpid()), signal.SIGTERM))
    with pytest.raises(InterruptedError):
        do(versions(), HERE, nap(tmp_path, 600.0), 0)


def child_of(parent: int) -> int:
    """Returns the worker among the children; multiprocessing may have left its resource tracker there."""
    tasks = Path(f"/proc/{parent}/task").iterdir()
    children = {number for task in tasks for number in (task / "children").read_text("ascii").split()}
    (worker,) = (one for one in children if b"benchmarks.sleeper" in Path(f"/proc/{one}/cmdline").read_bytes())
    return int(worker)


def test_progress_that_is_replaced_or_torn_is_no_error(tmp_path: Path) -> None:
    (tmp_path / PROGRESS).write_text('{"done": 1', "utf-8")
    assert progress_in(tmp_path) is None
    (tmp_path / PROGRESS).write_text(Progress(1, 2, "it", f1s=(0.5,)).to_line(), "utf-8")
    assert progress_in(tmp_path) == Progress(1, 2, "it", f1s=(0.5,))
