"""`doctor` names wrong what `prepare` refuses, and nothing else; each fault has a remedy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import TINY, write_contest
from daguan.cli.app import main
from daguan.core import packages
from daguan.core.packages import Package
from daguan.pipeline import doctor
from daguan.pipeline.doctor import Contents, Offer, chosen

OFFER = Offer("a processor", 2, 16e9, False, {}, (), 10**12)
CONTEST = Contents("folder", lines=6_000, tokens=300_000, types=3, test_lines=3_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "RATE_SECONDS", 0.001)
    monkeypatch.setattr(doctor, "offered", lambda work: OFFER)


def words_of(folder: Path) -> list[str]:
    places = [f"data.{name}={folder.parent / name}" for name in ("work", "submissions")]
    return [*TINY, f"data.dir={folder}", *places]


def test_all_is_well(contest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *words_of(contest), "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert found["faults"] == []
    assert (found["contest"]["lines"], found["contest"]["test_lines"], found["contest"]["checked"]) == (61, 16, 60)
    assert found["preset"] == "cpu_1h"
    assert not (contest.parent / "work").exists()


BROKEN = {
    "train.txt": ("7_8/a  9", "7_8/A", "7/o\n\n8/a", "7/o  8/o"),
    "test.txt": ("7__8", "7 8", ""),
    "corpus.txt": ("7_8\n9__1", "7\u30008"),
    "groups.txt": ("1\n2",),
    "test_gold.txt": ("7/a",),
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BROKEN.items() for text in texts])
def test_a_broken_file_is_named_as_prepare_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    folder = write_contest(tmp_path / "contest")
    (folder / name).write_text(text, "utf-8")
    assert main(["prepare", *words_of(folder)]) == 2
    (refused,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("daguan: "))
    assert main(["doctor", *words_of(folder)]) == 2
    faults = capsys.readouterr().err.splitlines()
    assert any(fault.startswith(f"{refused}; ") for fault in faults), (refused, faults)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("data.dir=no/such", "no/such: expected a folder with train.txt and test.txt"),
        ("folds.count=600", "folds.count: expected at most"),
        ("encoder.checkpoint=no/such", "no/such: expected a folder with a checkpoint"),
        ("conflicts.run=ngram_crf-123", "conflicts.run: "),
        ("engine.device=cuda:7", "engine.device: expected a device of this machine, got 'cuda:7'; engine.device=auto"),
    ],
)
def test_a_setting_that_cannot_work(contest: Path, capsys: pytest.CaptureFixture[str], change: str, fault: str) -> None:
    more = ["conflicts.training=relabel"] if "conflicts" in change else []
    assert main(["doctor", *words_of(contest), *more, change]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert fault in line


def test_two_broken_files_are_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_contest(tmp_path / "contest")
    (folder / "corpus.txt").write_text("7__8", "utf-8")
    (folder / "train.txt").write_text("7_8", "utf-8")
    assert main(["doctor", *words_of(folder), "--json"]) == 2
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["faults"]) == len(captured.err.splitlines()) == 2


def test_too_little_memory_and_disk(
    contest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "offered", lambda work: replace(OFFER, memory=1e6, disk=10))
    assert main(["doctor", *words_of(contest)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any("for the stage train of tiny, got 0.0 GB available; fewer engine.workers" in line for line in lines)
    assert any("data.work=FOLDER on another disk" in line for line in lines)


def test_packages_outside_their_ranges(
    contest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = packages.needed_packages()
    assert all(package.fits for package in there)
    wrong = [Package("numpy", "1.26.0", "<3,>=2.1"), Package("python", "3.10.1", ">=3.11,<3.14")]
    monkeypatch.setattr(packages, "needed_packages", lambda: [*there, *wrong])
    assert main(["doctor", *words_of(contest)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "daguan: numpy: expected a version <3,>=2.1, got 1.26.0; run: pip install 'numpy<3,>=2.1'",
        "daguan: python: expected a version >=3.11,<3.14, got 3.10.1; use another Python",
    ]
    monkeypatch.setattr(packages, "needed_packages", lambda: [Package("torch", "", ">=2.11")])
    assert main(["doctor", *words_of(contest), "--json"]) == 2  # and nothing that needs torch was tried
    assert "torch: expected a version >=2.11, got none" in capsys.readouterr().err


def test_the_preset_follows_the_machine_and_the_contest() -> None:
    assert chosen(OFFER, CONTEST, built_in=False)[0] == "cpu_1h"
    assert chosen(OFFER, CONTEST, built_in=True)[0] == "small"
    large = replace(CONTEST, lines=400_000, tokens=20_000_000)
    assert chosen(OFFER, large, built_in=False)[0] == "cpu_night"
    assert chosen(replace(OFFER, cores=64, memory=512e9), large, built_in=False)[0] == "cpu_1h"
    big, small = ("a GPU", 80 * 10**9), ("a GPU", 4 * 10**9)
    for contest in (CONTEST, large):
        assert chosen(replace(OFFER, gpus=(big,)), contest, built_in=False)[0] == "gpu_day"
        assert chosen(replace(OFFER, gpus=(small,)), contest, built_in=False) == chosen(OFFER, contest, built_in=False)
