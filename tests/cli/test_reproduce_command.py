"""The command reproduce: end to end, cut short, done before, and mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from daguan.cli.app import main
from daguan.core.files import read_json
from daguan.experiments.claims.table import CLAIMS
from daguan.experiments.geometry.tasks import TASKS

TINY = ["n=4", "hidden=8", "batch_size=8", "held_out=50", "threads=1", "device=cpu"]
NAMES = " or ".join([*TASKS, *CLAIMS])
FIGURES = {"convex-hull": {"accuracy", "area"}, "delaunay": {"accuracy", "coverage"}, "tsp": {"length", "optimum"}}


def run_of(work: Path) -> Path:
    (run,) = work.iterdir()
    return run


@pytest.mark.parametrize("task", FIGURES)
def test_a_run_leaves_figures_a_network_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    assert main(["reproduce", task, *TINY, "minutes=0.01", f"work={tmp_path}"]) == 0
    table, *_ = capsys.readouterr().out.splitlines()
    assert main(["reproduce", task, *TINY, "minutes=0.01", f"work={tmp_path}", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    figures = json.loads(line)
    assert FIGURES[task] <= figures.keys()
    assert figures["updates"] > 0
    assert figures["seconds"] >= 0.5
    assert table.startswith(f"{task}, n = 4")
    run = run_of(tmp_path)
    assert {path.name for path in run.iterdir()} >= {"model.safetensors", "config.json", "manifest.json"}
    assert read_json(run / "config.json")["task"] == task
    assert not list(run.glob("checkpoint*"))
    drawn = ElementTree.parse(run / "predictions.svg").getroot()
    assert sum(one.get("aria-roledescription") == "circle" for one in drawn.iter()) == 12 * 4


def test_the_paper_s_figures_stand_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["updates=1", *TINY[1:], f"work={tmp_path}"]
    assert main(["reproduce", "convex-hull", "n=5", *words]) == 0
    told = capsys.readouterr().out
    assert all(text in told for text in ("Ptr-Net", "92.0", "LSTM", "87.7", "FAIL"))
    assert main(["reproduce", "tsp", "n=10", *words]) == 0
    assert "2.88" in capsys.readouterr().out


def test_a_run_that_is_done_is_measured_again_and_not_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reproduce", "tsp", *TINY, "updates=3", f"work={tmp_path}", "--json"]
    assert main(words) == 0
    first = capsys.readouterr().out
    before = (run_of(tmp_path) / "model.safetensors").read_bytes()
    assert main([*words, "checkpoint_seconds=9"]) == 0
    assert capsys.readouterr().out == first
    assert main([*words, "beam=1", "held_out=20"]) == 0
    assert json.loads(capsys.readouterr().out)["beam"] == 1
    assert (run_of(tmp_path) / "model.safetensors").read_bytes() == before
    assert main([*words, "seed=2"]) == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_updates_give_the_same_bytes_killed_or_not(tmp_path: Path) -> None:
    words = ["reproduce", "convex-hull", *TINY, "updates=80", "checkpoint_seconds=0"]
    assert main([*words, f"work={tmp_path / 'whole'}"]) == 0
    command = [sys.executable, "-m", "daguan", *words, f"work={tmp_path / 'killed'}"]
    process = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list((tmp_path / "killed").glob("*/checkpoint.safetensors")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = run_of(tmp_path / "killed")
    assert (killed / "checkpoint.safetensors").is_file()
    assert not (killed / "manifest.json").exists()
    assert main([*words, f"work={tmp_path / 'killed'}"]) == 0
    for name in ("model.safetensors", "config.json", "predictions.svg"):
        assert (killed / name).read_bytes() == (run_of(tmp_path / "whole") / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["n=5"], f"reproduce: expected {NAMES}, got 'n=5'"),
        (["knapsack"], f"reproduce: expected {NAMES}, got 'knapsack'"),
        (["tsp", "n=13"], "n: expected at most 12 with tsp, got 13"),
        (["delaunay", "n=51"], "n: expected at most 50 with delaunay, got 51"),
        (["tsp", "n=2"], "n: expected at least 3, got 2"),
        (["tsp", "fewest=6"], "fewest: expected 0 or 3 to n, got 6"),
        (["tsp", "minutes=0"], "minutes: expected over 0, got 0.0"),
        (["tsp", "beam=0"], "beam: expected at least 1, got 0"),
        (["tsp", "minuets=1"], "minuets: no such setting; did you mean 'minutes'?"),
        (["tsp", "--jsn"], "--jsn: no such option; known: --settings, --json, --help"),
        (["tsp", "device=tpu"], "device: expected auto, cpu or cuda, got 'tpu'"),
    ],
)
def test_a_mistake_gets_one_line(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *words, f"work={tmp_path}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_help_names_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    from daguan.experiments.pointer_training import PointingSettings

    assert main(["reproduce", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in PointingSettings.model_fields)
