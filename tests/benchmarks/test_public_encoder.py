"""The arithmetic of the table of public encoders: the minutes that remain, what is stored, intervals and gains."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.public_encoder import ALONE, BLEND, CRF, PEER, RATES, TUNED, TUNING, DataTable, Records, gain
from benchmarks.token_classification import Task

from benchmarks import public_encoder
from daguan.core.types import Score, Sentence, Span
from public_encoders import checkpoint

GOOD, BAD = [Score(1, 1, 1)] * 30, [Score(0, 1, 1)] * 15 + [Score(1, 1, 1)] * 15
UPDATES = 60
TEXTS = [Sentence(("heart", "failure", "of", "mice"), (Span(0, 2, "D"),)), Sentence(("a", "aorta"), (Span(1, 2, "D"),))]


def table(root: Path, seeds: int = 3) -> DataTable:
    return DataTable(root, "toy", root / "encoder", 10.0, seeds, Records(root / "records.jsonl"))


def test_the_minutes_that_are_left_are_those_of_models_that_are_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each model is made once, with the best rate of its side; more seeds use what is there."""
    made: list[tuple[str, float, int, float]] = []

    def lines_of(side: str, encoder: Path, task: object, rate: float, seed: int, minutes: float) -> list[Score]:
        made.append((side, rate, seed, minutes))
        return GOOD if rate == RATES[1] and side != PEER else BAD

    monkeypatch.setattr(public_encoder, "lines_of", lines_of)
    monkeypatch.setattr(public_encoder, "lines_of_blend", lambda *given: lines_of(BLEND, *given[1:]))
    monkeypatch.setattr(DataTable, "whole", property(lambda self: Task([], [], {})))
    assert table(tmp_path).minutes_left() == pytest.approx(150)
    list(table(tmp_path, seeds=1).rows())
    assert table(tmp_path).minutes_left() == pytest.approx(80)
    rows = list(table(tmp_path).rows())
    assert table(tmp_path).minutes_left() == 0
    assert len(made) == len({*made}) == 5 * 3 + 4 * 3
    assert sum(minutes for *_, minutes in made) == pytest.approx(150)
    assert {rate for side, rate, *_, minutes in made if side in (CRF, ALONE, BLEND) and minutes == 10} == {RATES[1]}
    assert [row["side"] for row in rows] == [*TUNED, BLEND]
    assert [row["test F1"].split()[0] for row in rows] == ["50.0", "100.0", "100.0", "100.0"]
    assert rows[0]["over the peer"] == ""
    assert rows[1]["over the peer"].startswith("+50.0 (+")


def test_a_stored_answer_is_the_one_that_was_measured(tmp_path: Path) -> None:
    one = table(tmp_path)
    key = one.key(PEER, RATES[0], TUNING)
    assert one.records.known(key) is None
    assert one.records.of(key, lambda: BAD) == BAD == one.records.of(key, lambda: GOOD)
    assert one.records.known(one.key(CRF, RATES[0], TUNING)) is None


def test_a_gain_over_itself_is_certainly_none() -> None:
    assert gain([BAD, GOOD], [GOOD, BAD]) == "+0.0 (+0.0 to +0.0)"


@pytest.mark.parametrize("side", TUNED)
def test_each_side_learns_a_few_lines_by_a_public_encoder(
    side: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_encoder, "measured_updates", lambda minutes, step: step() or UPDATES)
    checkpoint(tmp_path / "public", "bert")
    lines = public_encoder.lines_of(side, tmp_path / "public", Task(TEXTS * 20, TEXTS, {}), 1e-2, 1, 1.0)
    assert [(line.hits, line.gold) for line in lines] == [(1, 1), (1, 1)]
