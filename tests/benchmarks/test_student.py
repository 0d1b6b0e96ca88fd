"""The table of students: its command lines, its rows and its aims; the students themselves take hours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmarks.student import BOTH, OWN, STUDENTS, contest_words

from benchmarks import student
from daguan.pipeline.settings import load


def side(f1: float, speed: float) -> dict[str, Any]:
    score = {"f1": f1, "interval": [f1 - 0.01, f1 + 0.01]}
    return {"run": "modern_crf-abc", "held_out": score, "test": score, "lines_per_second": speed, "megabytes": 9.0}


def found(f1: float, model: str) -> dict[str, Any]:
    sides = {"teacher": side(0.9, 61.0), "best member": side(0.85, 200.0), "student": side(f1, 700.0)}
    sides["model alone"] = side(f1 - 0.02, 900.0)
    gain = {"f1": f1 - 0.9, "interval": [f1 - 0.91, f1 - 0.89]}
    return {"model": model, "sides": sides, "gains": {"teacher": gain, "best member": gain}}


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", BOTH)
def test_every_command_line_is_taken(name: str, quick: bool) -> None:
    """A full one has a budget, which a smoke test has not; no student is taught on test lines."""
    for more in STUDENTS.values():
        settings = load([*contest_words(name, 42, quick), *OWN, *more])
        assert settings.budget.minutes == (0 if quick else 42)
        assert not settings.distil.test


def test_the_better_student_out_of_fold_is_exported_and_held_against_the_aims(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def taught(words: list[str]) -> dict[str, Any]:
        drawn = any(word.startswith("distil.draws") for word in words)
        assert "distil.length=8" in words
        return found(0.895 if drawn else 0.88, "drawn" if drawn else "best")

    monkeypatch.setattr(student, "command", lambda name, words: commands.append([name, *words]))
    monkeypatch.setattr(student, "taught", taught)
    monkeypatch.setattr(student, "measured", lambda model, contest, quick: iter([{"form": str(model)}]))
    student.main(["people_daily", "--more", "distil.length=8", "--json"])
    table = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [words[0] for words in commands] == ["run"]
    sides = [row["side"] for row in table["rows"] if "side" in row]
    taught_sides = ["student of best labels", "its model alone", "student of drawn labels", "its model alone"]
    assert sides == ["blend", "best member: modern_crf", *taught_sides]
    rows = table["rows"]
    assert rows[4][student.OVER] == "-0.50 (-1.50 to +0.50)"
    assert [(row["out of fold"][:5], row["lines/s"]) for row in rows[2:6:3]] == [("88.00", 700.0), ("87.50", 900.0)]
    assert rows[6] == {"contest": "people_daily", "student": "drawn labels", "form": "drawn"}
    assert [(aim["measured"], aim["reached"]) for aim in table["aims"]] == [(-0.5, True), (700.0, True)]
