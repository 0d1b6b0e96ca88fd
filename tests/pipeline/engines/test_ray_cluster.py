"""A real Ray cluster: a node that is killed, Ctrl-C and a drop under a budget, a study. What comes of it is the local
engine's to the byte."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_naps
from conftest import TINY
from daguan.cli.app import main
from daguan.core.errors import StoppedError
from daguan.core.files import read_json
from daguan.core.runs import CHECKPOINT
from daguan.families.job import JOB, RESULT
from daguan.pipeline.budget.plan import read_state
from in_process import in_process
from ray_nodes import PATIENCE, command, head, jobs_on, lose, node, until

Cluster = tuple[subprocess.Popen[bytes], str]

SMALL = [*TINY, "engine.threads=1", "engine.device=cpu", "model.ngram_buckets=4096"]
FOLDS = ["folds.count=5", "members=tagger,ngram_crf", "train.epochs=20", "engine.workers=2"]
BUDGET = ["members=ngram_crf,tagger", "budget.minutes=30", "budget.passes=40", "engine.workers=1"]
BUDGET += ["model.head=crf", "train.head_learning_rate=1e30"]  # whose loss does not stay finite
LOCAL = ["engine.kind=local", "engine.address=auto", "engine.memory=2"]  # in place of what a plan names
STUDY = ["members=tagger", "train.epochs=2", "pretrain.tokens=1024", "tune.trials=2", "tune.workers=1"]
STUDY += ["tune.space={train.head_learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}}"]

pytestmark = pytest.mark.services
if os.environ.get("DAGUAN_SERVICES") != "all":  # a cluster that starts beside other work may fail
    asked = "minutes: DAGUAN_SERVICES=all bash scripts/test_services.sh tests/pipeline/engines/test_ray_cluster.py"
    pytest.skip(asked, allow_module_level=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A node of one core, and its address."""
    with head(tmp_path_factory.mktemp("ray")) as started:
        yield started


def places(contest: Path, folder: Path) -> list[str]:
    return [f"data.dir={contest}", f"data.work={folder}/work", f"data.submissions={folder}/submissions"]


def on_the_cluster(cluster: Cluster) -> list[str]:
    return ["engine.kind=ray", f"engine.address={cluster[1]}", "engine.memory=0.2"]


def daguan(log: Path, *words: str) -> subprocess.Popen[bytes]:
    return command(log, "-m", "daguan", *words)


def files(folder: Path, pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob(pattern)}


def test_a_job_reports_is_refused_waits_and_is_stopped_as_on_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    started, address = cluster
    log = tmp_path / "naps.log"
    assert command(log, ray_naps.__file__, address, str(tmp_path)).wait(PATIENCE) == 0, log.read_text("utf-8")
    stopped = "stopped stopped before it was done; the same command continues"
    expected = ["short True 1 True", "refused False", "begun 1", stopped, stopped]
    said = log.read_text("utf-8").splitlines()
    assert [line for line in said if line.partition(" ")[0] in ("short", "refused", "begun", "stopped")] == expected
    assert jobs_on(started, ray_naps.WORKER) == []


def test_a_killed_node_changes_no_byte(cluster: Cluster, contest: Path, tmp_path: Path) -> None:
    """Five folds of two families on two nodes. The second one is lost while it trains a tagger."""
    with in_process():
        assert main(["run", *SMALL, *FOLDS, *places(contest, tmp_path / "local")]) == 0
    local, ray, (first, address) = tmp_path / "local", tmp_path / "ray", cluster
    with node(tmp_path / "second.log", f"--address={address}", "--node-ip-address=127.0.0.2") as second:
        run = daguan(tmp_path / "run.log", "run", *SMALL, *FOLDS, *places(contest, ray), *on_the_cluster(cluster))
        until(lambda: any("/tagger-" in str(job) and (job / CHECKPOINT).is_file() for job in jobs_on(second)), run)
        lose(second)
        assert run.wait(PATIENCE) == 0
    assert first.poll() is None
    for part, pattern in (("submissions", "*.txt"), ("work", "*.safetensors")):
        assert files(local / part, pattern) == files(ray / part, pattern) != {}
    results = files(ray / "work", RESULT)
    assert results.keys() == files(local / "work", RESULT).keys()
    assert len(results) == 1 + 2 * 5  # the pretraining, and the folds
    assert {read_json(job)["threads"] for job in ray.rglob(JOB)} == {1}


def test_a_budget_drops_a_member_and_goes_on_after_ctrl_c(cluster: Cluster, contest: Path, tmp_path: Path) -> None:
    words = ["run", *SMALL, *BUDGET, *places(contest, tmp_path / "ray"), *on_the_cluster(cluster)]
    work, log = tmp_path / "ray" / "work", tmp_path / "run.log"
    run = daguan(log, *words)
    until(lambda: any(work.glob(f"budget-*/pretrain-tagger/{CHECKPOINT}")), run)
    run.send_signal(signal.SIGINT)
    assert run.wait(PATIENCE) == StoppedError.exit_code
    assert "daguan: interrupted; the same command continues" in log.read_text("utf-8").splitlines()
    assert jobs_on(cluster[0]) == []
    assert any(work.glob(f"budget-*/pretrain-tagger/{CHECKPOINT}"))
    assert daguan(log, *words).wait(PATIENCE) == 0, log.read_text("utf-8")
    (plan,) = work.glob("budget-*")
    state = read_state(plan)
    assert state.submitted == ["ngram_crf"]
    assert "expected a finite loss, got " in state.dropped["tagger"]
    said = log.read_text("utf-8")
    assert f"budget: DROPPED tagger: {state.dropped['tagger']}" in said
    assert "ngram_crf fold 2: " in said
    with in_process():
        assert main(["run", str(plan / "plan.yaml"), *places(contest, tmp_path / "local"), *LOCAL]) == 0
    submissions = [files(tmp_path / name / "submissions", "*.txt") for name in ("local", "ray")]
    assert submissions[0] == submissions[1] != {}


def test_a_study_has_the_trials_of_the_local_engine(cluster: Cluster, contest: Path, tmp_path: Path) -> None:
    words, log = ["tune", *SMALL, *STUDY], tmp_path / "tune.log"
    on_ray = daguan(log, *words, *places(contest, tmp_path / "ray"), *on_the_cluster(cluster))
    assert on_ray.wait(PATIENCE) == 0, log.read_text("utf-8")
    with in_process():
        assert main([*words, *places(contest, tmp_path / "local")]) == 0
    found, expected = study_in(tmp_path / "ray"), study_in(tmp_path / "local")
    assert len(found) == 2
    assert found == expected
    assert files(tmp_path / "ray" / "work", "held_out.safetensors") == files(
        tmp_path / "local" / "work", "held_out.safetensors"
    )


def study_in(folder: Path) -> list[dict[str, Any]]:
    """Return the trials of the study in a folder, without the seconds that they took."""
    (study,) = (folder / "work").glob("tune-*/trials.json")
    trials = read_json(study)["trials"]
    return [trial | {"outcome": trial["outcome"]["f1"]} for trial in trials]
