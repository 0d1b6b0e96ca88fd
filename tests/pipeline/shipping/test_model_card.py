"""The card and the warnings of a student are of the student, those of its model alone of that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame

import daguan
from daguan.api.model import Model
from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.runs import MANIFEST, WRITTEN_BY
from daguan.ensemble.distillation import ALONE, BEST, MEMBERS, MEMBERS_ALONE, STUDENT, TEACHER
from daguan.families.fold import MODEL
from daguan.pipeline.shipping.export import CPU
from daguan.pipeline.shipping.model_card import model_card
from daguan.pipeline.shipping.rivals import ahead_of, side_of
from daguan.training.prediction import TrainedTagger
from stored_model import STORED

(TAGGER,) = STORED.glob("tagger-*")
F1S = {TEACHER: 0.95, STUDENT: 0.91, ALONE: 0.84, BEST: 0.86}
MEMBERS_F1 = {"modern_crf-1": 0.86, "ngram_crf-2": 0.92, "tagger-3": 0.83}
BELOW = {STUDENT: {"ngram_crf-2": 0.01}, ALONE: {"ngram_crf-2": 0.08, "modern_crf-1": 0.02}}


def gains(side: str) -> dict[str, Any]:
    return {name: {"f1": F1S[side] - f1} for name, f1 in MEMBERS_F1.items()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A student's run."""
    folder = tmp_path / "distil-abc"
    for place in ("", "scored"):
        shutil.copytree(TAGGER / "fold0" / MODEL, folder / place / MODEL)
    sides = {name: {"held_out": {"p": f1, "r": f1, "f1": f1, "interval": [f1, f1]}} for name, f1 in F1S.items()}
    found = {"sides": sides, MEMBERS: gains(STUDENT), MEMBERS_ALONE: gains(ALONE)}
    write_json(folder / "manifest.json", {**WRITTEN_BY, "commit": "abc", "depends_on": {}, **found})
    return folder


@pytest.mark.parametrize(
    ("place", "side"), [("", STUDENT), ("model/..", STUDENT), ("model", ALONE), ("scored/model", ALONE)]
)
def test_scores_and_warnings_are_of_what_is_shipped(run: Path, place: str, side: str) -> None:
    model = run / place
    assert side_of(model, run) == side
    assert ahead_of(model) == pytest.approx(BELOW[side])
    assert [*ahead_of(model)] == [*BELOW[side]]
    card = model_card(model, TrainedTagger.load(run / MODEL, CPU), None, ["a"], "mit", "use")
    (row,) = [line for line in card.splitlines() if line.startswith("| lines that an equal student")]
    assert row.endswith(f" | {100 * F1S[side]:.2f} ({100 * F1S[side]:.2f}–{100 * F1S[side]:.2f}) |")
    for name in MEMBERS_F1:
        lead = BELOW[side].get(name)
        assert (f"`{name}` by" in card) == (lead is not None)
        assert lead is None or f"`{name}` by {100 * lead:.2f} points" in card


@pytest.mark.parametrize("place", ["", "model"])
def test_a_student_of_before_students_had_judges_is_its_model(run: Path, place: str) -> None:
    manifest = read_json(run / MANIFEST)
    del manifest[MEMBERS_ALONE], manifest["sides"][ALONE]
    write_json(run / MANIFEST, manifest)
    assert ahead_of(run / place) == pytest.approx(BELOW[STUDENT])
    card = model_card(run / place, TrainedTagger.load(run / MODEL, CPU), None, ["a"], "mit", "use")
    assert f" | {100 * F1S[STUDENT]:.2f} (" in card


@pytest.mark.parametrize("ask", [Model.leaderboard, Model.calibration])
def test_a_student_has_no_table_of_members(run: Path, ask: Callable[[Model], DataFrame]) -> None:
    with pytest.raises(CheckpointError, match="expected a blend"):
        ask(daguan.load(run))


def test_a_link_to_the_run_is_the_run(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    assert ahead_of(tmp_path / "link") == ahead_of(run) != ahead_of(tmp_path / "link" / MODEL) == ahead_of(run / MODEL)


def test_a_run_that_is_named_by_the_current_folder_is_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    assert ahead_of(Path()) == pytest.approx(BELOW[STUDENT])
    assert ahead_of(Path(MODEL)) == pytest.approx(BELOW[ALONE])
