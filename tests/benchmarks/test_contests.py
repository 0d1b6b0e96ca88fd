"""The arithmetic of the table of contests, and its journal; the contests themselves take an hour each."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.contests import Answer, Estimate, Record
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import contests
from daguan.core.types import Sentence, Span

TOKENS = ("1", "2", "3")
GOLD = [Sentence(TOKENS, (Span(0, 1, "a"), Span(2, 3, "b"))), Sentence(TOKENS, (Span(1, 3, "a"),))] * 10
SPANS = st.sets(st.sampled_from([Span(0, 1, "a"), Span(1, 2, "b"), Span(2, 3, "b")])).map(sorted)
ANSWERS = st.lists(SPANS, min_size=len(GOLD), max_size=len(GOLD))
CERTAIN = Estimate(0.0, 0.0, 0.0)


def answered(spans: list[list[Span]]) -> Answer:
    return Answer.of([Sentence(TOKENS, tuple(of_line)) for of_line in spans], GOLD)


def record(contest: str, single: Estimate, blend: Estimate) -> Record:
    estimates = dict.fromkeys(("crf", "single", "blend"), CERTAIN) | {"single_gone": single, "blend_gone": blend}
    names = {"contest": contest, "used": "59.0 of 60", "load": "0.1 to 2.0", "best": "cnn", "code": "abc", "cpu": "x"}
    return Record(minutes=60.0, lines=9, single_out_of_fold=1.0, blend_out_of_fold=2.0, **names, **estimates)


@settings(max_examples=20)
@given(ANSWERS)
def test_no_error_is_gone_by_the_crf_itself_and_all_by_the_gold_labels(answer: list[list[Span]]) -> None:
    crf, perfect = answered(answer), answered([list(line.gold) for line in GOLD])
    assert crf.gone(crf) == CERTAIN
    assert dataclasses.astuple(perfect.gone(crf)) == pytest.approx((100, 100, 100))


def test_a_share_is_of_the_errors_alone() -> None:
    crf, model = Answer(60.0, np.array([50.0, 50.0])), Answer(70.0, np.array([75.0, 75.0]))
    assert model.gone(crf) == Estimate(25, 50, 50)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=5))
def test_the_mean_of_certain_shares_is_certain(values: list[float]) -> None:
    mean = Estimate.mean([Estimate(value, value, value) for value in values])
    assert dataclasses.astuple(mean) == pytest.approx((np.mean(values),) * 3)


def test_the_mean_of_independent_contests_is_surer_than_each() -> None:
    assert Estimate.mean([Estimate(5.0, 1.0, 7.0)] * 4) == Estimate(5.0, 3.0, 6.0)


def test_the_mean_row_has_the_least_share_of_a_blend() -> None:
    shares = [Estimate(value, value, value) for value in (20.0, 0.0, 40.0, 20.0)]
    row = contests.mean_row([record("uner_zh", *shares[:2]), record("ncbi", *shares[2:])])
    assert row["% of errors gone: single"].startswith("30.0")
    assert row["blend"].startswith("10.0")
    assert row["least of a blend"] == "0.0"


def test_a_recorded_contest_is_not_played_again_and_stands_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played: list[str] = []
    monkeypatch.setattr(contests, "RECORDS", tmp_path / "contests.jsonl")
    monkeypatch.setattr(contests, "PAGE", tmp_path / "contests.md")
    monkeypatch.setattr(contests, "play", lambda name, minutes: played.append(name) or record(name, CERTAIN, CERTAIN))
    contests.main(["wnut17"])
    contests.main(["ncbi", "wnut17", "--json"])
    assert played == ["wnut17", "ncbi"]
    assert [record.contest for record in contests.recorded(60.0)] == ["ncbi", "wnut17"]
    assert contests.recorded(15.0) == []
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]) == 3  # the third is the mean
    page = (tmp_path / "contests.md").read_text(encoding="utf-8")
    assert page.index("| ncbi") < page.index("| wnut17") < page.index("mean over")


def test_what_is_read_back_is_what_was_recorded() -> None:
    written = record("ncbi", Estimate(1.0, 0.5, 2.25), CERTAIN)
    assert Record.from_json(json.dumps(dataclasses.asdict(written))) == written


def test_an_unknown_contest_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        contests.main(["uner"])
    assert stopped.value.code == 2
    assert "got uner" in capsys.readouterr().err
