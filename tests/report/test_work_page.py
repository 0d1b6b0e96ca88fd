"""The page of a work folder names every finished run, blend, submission, study and budget in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daguan.core.files import sha256_of_file, write_json
from daguan.core.runs import FORMAT
from daguan.report import leaderboard
from daguan.report.leaderboard import public_scores
from daguan.report.work_page import work_page


def manifest(folder: Path, **facts: object) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / "manifest.json", {"format": FORMAT, "commit": "abc", "seconds": 60.0, **facts})
    return folder


def made(root: Path) -> tuple[Path, Path]:
    """A work folder and one of submissions."""
    work, sent = root / "work", root / "sent"
    about = {"family": "ngram_crf", "seed": 1}
    run = manifest(work / "crf-1", lines="l", depends_on=about, folds=[{}, {}], out_of_fold=0.5)
    (run / "fold0").mkdir()
    write_json(run / "fold0" / "result.json", {"seconds": 3.0, "updates": 2, "most_updates": 2, "f1": 0.5})
    span = {"f1": 0.625, "interval": [0.6, 0.65]}
    depends_on = {"members": ["crf-1"]}
    for name, text in (("blend-1", "1/a\n"), ("blend-2", "1/o\n")):
        blend = manifest(
            work / name, final="blend", method="stack", depends_on=depends_on, out_of_fold={"blend": {"span": span}}
        )
        (blend / "blend.txt").write_text(text, "utf-8")
    manifest(work / "budget-1", minutes=10.0)
    write_json(work / "budget-1" / "plan.json", {"f1": 0.6, "submitted": ["crf"], "dropped": {"cnn": "no time"}})
    (work / "tune-1").mkdir()
    outcome = {"f1": 0.75, "seconds": 3.0}
    trials = [{"index": 0, "outcome": outcome}]
    write_json(work / "tune-1" / "trials.json", {"best": 0, "f1_on_other_folds": 0.7, "trials": trials})
    sent.mkdir()
    (sent / "x-1.txt").write_text("1/a\n", "utf-8")
    write_json(sent / "x-1.json", {})
    write_json(sent / "BOARD.json", {"x-1": {"score": 0.8125}})
    return work, sent


def test_everything_is_named_with_its_scores(tmp_path: Path) -> None:
    page = work_page(*made(tmp_path)).html()
    for text in ("crf-1", "blend-1", "blend-2", "budget-1", "tune-1", "62.50", "70.00", "75.00", "0.812"):
        assert f">{text}<" in page, text
    assert page.count('<script type="application/json"') == 0


def test_a_public_score_belongs_to_the_blend_that_gave_the_submitted_lines(tmp_path: Path) -> None:
    work, sent = made(tmp_path)
    answers = {name: work / name / "blend.txt" for name in ("blend-1", "blend-2")}
    assert public_scores(sent, answers) == {"blend-1": 0.8125}
    assert sha256_of_file(sent / "x-1.txt") == sha256_of_file(work / "blend-1" / "blend.txt")


def test_no_file_is_hashed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(leaderboard, "sha256_of_file", lambda path: hashed.append(path) or sha256_of_file(path))
    work, sent = made(tmp_path)
    work_page(work, sent)
    assert sorted(hashed) == sorted([sent / "x-1.txt", *work.glob("blend-*/blend.txt")])


def test_an_empty_folder_has_a_page(tmp_path: Path) -> None:
    assert "<h1>" in work_page(tmp_path / "none", tmp_path / "none").html()
