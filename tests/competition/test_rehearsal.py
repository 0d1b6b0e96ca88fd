"""A rehearsal's lines and games, without any training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.competition.candidates import Candidate
from daguan.competition.forecast import LineCounts
from daguan.competition.planner import Planner
from daguan.competition.rehearsal import BEST, PLANNER, HiddenScores, deal, hide, play, rehearse
from daguan.competition.settings import PlanSettings, RehearseSettings
from daguan.core.errors import ConfigError
from daguan.core.types import Sentence, Span
from daguan.data.scores import all_metrics, report

PLAN = PlanSettings(submissions=2)
SHARES = st.floats(0.05, 0.95)


@given(st.lists(st.integers(0, 12), min_size=2, max_size=40), SHARES, st.integers(0, 3))
def test_every_line_is_kept_or_hidden_and_equal_texts_go_together(texts: list[int], share: float, seed: int) -> None:
    train = [Sentence((str(text),), ()) for text in texts]
    distinct = len(set(texts))
    if not 0 < round(share * distinct) < distinct:
        with pytest.raises(ConfigError, match=r"rehearse\.share: expected one that divides"):
            hide(train, share, seed)
        return
    kept, hidden = hide(train, share, seed)
    assert sorted([*kept, *hidden]) == list(range(len(train)))
    assert not {texts[i] for i in kept} & {texts[i] for i in hidden}
    assert len({texts[i] for i in hidden}) == round(share * distinct)
    assert [part.tolist() for part in hide(train, share, seed)] == [kept.tolist(), hidden.tolist()]


@given(st.lists(st.integers(0, 12), min_size=2, max_size=40), st.integers(0, 3))
def test_the_lines_of_a_document_are_kept_or_hidden_together(documents: list[int], seed: int) -> None:
    train = [Sentence((str(number),), ()) for number in range(len(documents))]
    if len(set(documents)) < 2:
        with pytest.raises(ConfigError, match=r"expected one that divides 1 groups of lines"):
            hide(train, 0.5, seed, np.array(documents))
        return
    kept, hidden = hide(train, 0.5, seed, np.array(documents))
    assert not {documents[i] for i in kept} & {documents[i] for i in hidden}


@given(st.integers(2, 50), SHARES, st.integers(0, 5))
def test_both_boards_have_lines(lines: int, share: float, number: int) -> None:
    dealt = deal(lines, share, 1, number)
    assert 0 < dealt.sum() < lines
    assert dealt.sum() == np.clip(round(share * lines), 1, lines - 1)
    assert (deal(lines, share, 1, number) == dealt).all()


def test_one_line_is_too_few() -> None:
    with pytest.raises(ConfigError, match=r"rehearse\.share: expected a share of two lines"):
        deal(1, 0.5, 1, 0)


def made(count: int = 5, lines: int = 60) -> tuple[Planner, HiddenScores, list[list[Sentence]], list[Sentence]]:
    """Candidates that are right on more and more lines, and know it but for their noise."""
    rng = np.random.default_rng(5)
    gold = [Sentence(("1", "2", "3"), (Span(0, 2, "a"),)) for _ in range(lines)]
    wrong = Sentence(("1", "2", "3"), (Span(1, 3, "a"),))
    answers, candidates = [], []
    for number in range(count):
        right = rng.random(lines) < 0.6 + 0.07 * number
        answers.append([line if good else wrong for line, good in zip(gold, right, strict=True)])
        scores = all_metrics(answers[-1], gold)
        candidates.append(Candidate.of(f"n{number}", scores, answers[-1], 0))
    return Planner(candidates, LineCounts(140, lines), PLAN), HiddenScores.of(answers, gold), answers, gold


def test_board_scores_are_the_contests_on_their_lines() -> None:
    _, truth, answers, gold = made(count=3, lines=20)
    dealt = deal(20, 0.5, 1, 0)
    for score, answer in zip(truth.f1(dealt), answers, strict=True):
        ours, theirs = ([line for line, on in zip(side, dealt, strict=True) if on] for side in (answer, gold))
        assert score == report(ours, theirs, "contest").total.f1
    assert truth.f1(np.zeros(20, dtype=bool)).tolist() == [0, 0, 0]


def test_a_game_keeps_the_rules() -> None:
    planner, truth, _, _ = made()
    game = play(planner, truth, deal(60, 0.5, 1, 0), days=2)
    sent = [name for day in game.days for name in day]
    assert [len(day) for day in game.days] == [2, 2]
    assert len(set(sent)) == 4
    assert set(game.chosen[PLANNER]) <= set(sent)
    for way, chosen in game.chosen.items():
        first, better = game.gained(way)
        assert len(set(chosen)) == 2
        assert first <= better <= game.gained(BEST)[1] == max(game.private.values())


def test_the_planner_sees_no_private_score() -> None:
    """All private answers turned wrong: it sends and chooses the same."""
    planner, truth, _, _ = made()
    dealt = deal(60, 0.5, 1, 0)
    blind = HiddenScores(np.where(dealt, truth.hits, 0), truth.totals)
    one, other = (play(planner, told, dealt, days=2) for told in (truth, blind))
    assert (one.days, one.chosen[PLANNER]) == (other.days, other.chosen[PLANNER])
    assert set(other.private.values()) == {0}


def test_a_contest_ends_when_all_is_sent() -> None:
    planner, truth, _, _ = made(count=3)
    game = play(planner, truth, deal(60, 0.5, 1, 0), days=4)
    assert [len(day) for day in game.days] == [2, 1, 0, 0]


def test_means_are_over_all_deals_and_repeat() -> None:
    planner, truth, _, _ = made()
    settings = RehearseSettings(deals=5, days=1)
    found = rehearse(planner, truth, 0.5, settings, seed=3)
    assert found == rehearse(planner, truth, 0.5, settings, seed=3)
    games = [play(planner, truth, deal(60, 0.5, 3, number), days=1) for number in range(5)]
    mean = np.mean([game.gained(PLANNER)[1] for game in games])
    assert found["ways"][PLANNER]["mean_better"] == pytest.approx(mean)
    assert found["ways"][BEST]["mean_short"] == 0
    assert all(way["mean_short"] >= 0 for way in found["ways"].values())
    assert found["days"] == games[0].days
    first = rehearse(planner, truth, 0.5, settings.replace(deals=1), seed=3)
    assert first["ways"][PLANNER]["private"] == found["ways"][PLANNER]["private"]
