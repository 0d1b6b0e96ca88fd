"""The arithmetic of the table of contests; the contests themselves take an hour each."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.contests import Played, Scored, Share
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import contests
from daguan.core.types import Sentence, Span
from daguan.data.bootstrap import RESAMPLES

TOKENS = ("1", "2", "3")
GOLD = [Sentence(TOKENS, (Span(0, 1, "a"), Span(2, 3, "b"))), Sentence(TOKENS, (Span(1, 3, "a"),))] * 10
SPANS = st.sets(st.sampled_from([Span(0, 1, "a"), Span(1, 2, "b"), Span(2, 3, "b")])).map(sorted)
ANSWERS = st.lists(SPANS, min_size=len(GOLD), max_size=len(GOLD))


def scored(spans: list[list[Span]]) -> Scored:
    return Scored.of(None, [Sentence(TOKENS, tuple(of_line)) for of_line in spans], GOLD)


@settings(max_examples=20)
@given(ANSWERS)
def test_no_error_is_gone_by_the_crf_itself_and_all_by_the_gold_labels(answer: list[list[Span]]) -> None:
    crf, perfect = scored(answer), scored([list(line.gold) for line in GOLD])
    assert Share.of(crf, crf).value == 0
    assert not Share.of(crf, crf).resampled.any()
    assert Share.of(perfect, crf).value == pytest.approx(100)
    assert Share.of(perfect, crf).resampled == pytest.approx(np.full(RESAMPLES, 100.0))


def test_a_share_is_of_the_errors_alone() -> None:
    crf, model = Scored(None, 60.0, np.array([50.0, 80.0])), Scored(None, 70.0, np.array([75.0, 70.0]))
    assert Share.of(model, crf).value == pytest.approx(25)
    assert Share.of(model, crf).resampled.tolist() == [50, -50]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=5))
def test_the_mean_of_certain_shares_is_certain(values: list[float]) -> None:
    mean = Share.mean([Share(value, np.full(9, value)) for value in values])
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.resampled == pytest.approx(np.full(9, mean.value))


def test_the_mean_of_independent_contests_is_surer_than_each() -> None:
    share = Share(0.0, np.random.default_rng(1).normal(size=2_000))
    assert Share.mean([share] * 4).resampled.std() == pytest.approx(0.5, abs=0.05)


def test_the_mean_row_has_the_least_share_of_a_blend() -> None:
    crf = Scored(None, 50.0, np.array([50.0]))
    played = [
        Played(name, 1, crf, "x", Scored(1.0, single, np.array([single])), Scored(1.0, blend, np.array([blend])), "")
        for name, single, blend in (("one", 60.0, 70.0), ("two", 50.0, 60.0))
    ]
    row = contests.mean_row(played)
    assert row["% of errors gone: single"].startswith("10.0")
    assert row["blend"].startswith("30.0")
    assert row["least of a blend"] == "20.0"


def test_an_unknown_contest_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        contests.main(["uner"])
    assert stopped.value.code == 2
    assert "got uner" in capsys.readouterr().err
