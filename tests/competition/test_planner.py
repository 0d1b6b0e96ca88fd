"""The planner: its formulas against brute force, and what holds whatever the candidates are."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.competition.candidates import Candidate, agreement
from daguan.competition.forecast import Forecast, LineCounts, prior_forecast
from daguan.competition.planner import Planner, correlation, expected_maximum, final_pair, value_of_sending
from daguan.competition.settings import PlanSettings

LINES = LineCounts(train=6000, test=3000)
SETTINGS = PlanSettings()


def candidate(name: str, score: float, numbers: range, sd: float = 0.004) -> Candidate:
    """Its answer is one span on each of these lines."""
    return Candidate(name, score, sd, frozenset((number, 0, 1, "a") for number in numbers))


SCORES = st.floats(0.5, 0.98)
STARTS = st.integers(0, 60)


@st.composite
def candidates(draw: st.DrawFn, least: int = 1) -> list[Candidate]:
    count = draw(st.integers(least, 6))
    made = [
        candidate(f"n{i}", draw(SCORES), range(start := draw(STARTS), start + 100), draw(st.floats(0.001, 0.02)))
        for i in range(count)
    ]
    return draw(st.permutations(made))


@st.composite
def contests(draw: st.DrawFn) -> tuple[list[Candidate], dict[str, float]]:
    """Candidates, and recorded scores of some."""
    made = draw(candidates())
    return made, {one.name: draw(SCORES) for one in made if draw(st.booleans())}


# agreement


@given(candidates())
def test_agreement_is_span_f1_and_a_kernel(made: list[Candidate]) -> None:
    found = agreement(made)
    for i, one in enumerate(made):
        for j, other in enumerate(made):
            shared = sum(span in other.spans for span in one.spans)
            assert found[i, j] == 2 * shared / (len(one.spans) + len(other.spans))
    assert np.linalg.eigvalsh(found).min() > -1e-9
    assert np.linalg.eigvalsh(np.exp(found)).min() > -1e-9


def test_two_answers_without_spans_agree() -> None:
    empty, other = candidate("a", 0.5, range(0)), candidate("b", 0.5, range(3))
    assert agreement([empty, empty, other]).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


# forecast


def test_the_belief_is_that_of_a_grid_over_everything_unknown() -> None:
    """Two candidates, the first one's public score known; δ, γ and both truths on a grid, by Bayes' rule alone."""
    one, other = candidate("one", 0.90, range(100), 0.008), candidate("other", 0.86, range(40, 140), 0.006)
    settings = PlanSettings(public_share=0.4, offset_sd=0.02, slope_sd=0.3, noise_sd=0.004)
    score = 0.87
    agreements = agreement([one, other])
    forecast = prior_forecast([one, other], agreements, LINES, settings).given([0], [score])

    shared = math.exp(-(1 - 60 / 100) / (1 - 0.88**2))
    sampled = np.array([[0.008**2, shared * 0.008 * 0.006], [shared * 0.008 * 0.006, 0.006**2]])
    offset, slope = np.linspace(-0.1, 0.1, 61), np.linspace(-1.5, 1.5, 31)
    first, second = np.linspace(0.80, 0.98, 71), np.linspace(0.76, 0.96, 71)
    o, s, x, y = np.meshgrid(offset, slope, first, second, indexing="ij", sparse=True)
    left, right = x - (0.90 + o + s * 0.02), y - (0.86 + o - s * 0.02)
    precision = np.linalg.inv(sampled)
    exponent = precision[0, 0] * left**2 + 2 * precision[0, 1] * left * right + precision[1, 1] * right**2
    exponent = exponent + (o / 0.02) ** 2 + (s / 0.3) ** 2
    noise = 6000 / (3000 * 0.4) * 0.008**2 + 0.004**2
    weight = np.exp(-(exponent + (score - x) ** 2 / noise) / 2).sum((0, 1))
    weight /= weight.sum()

    for index, (grid, axis) in enumerate([(first, 1), (second, 0)]):
        margin = weight.sum(axis)
        mean = (margin * grid).sum()
        variance = (margin * (grid - mean) ** 2).sum()
        private = 6000 / (3000 * 0.6) * sampled[index, index] + 0.004**2
        assert forecast.mean[2 + index] == pytest.approx(mean, abs=2e-5)
        assert forecast.covariance[2 + index, 2 + index] == pytest.approx(variance + private, rel=2e-3)


@given(contests())
def test_recorded_scores_are_believed_and_leave_less_doubt(contest: tuple[list[Candidate], dict[str, float]]) -> None:
    made, recorded = contest
    before = prior_forecast(made, agreement(made), LINES, SETTINGS)
    at = [i for i, one in enumerate(made) if one.name in recorded]
    after = before.given(at, [recorded[made[i].name] for i in at])
    for i in at:
        assert after.mean[i] == pytest.approx(recorded[made[i].name], abs=1e-7)
    assert (np.diag(after.covariance) <= np.diag(before.covariance) + 1e-12).all()


@given(contests())
def test_scores_one_after_the_other_or_at_once_are_the_same(contest: tuple[list[Candidate], dict[str, float]]) -> None:
    made, recorded = contest
    together = apart = prior_forecast(made, agreement(made), LINES, SETTINGS)
    at = [i for i, one in enumerate(made) if one.name in recorded]
    together = together.given(at, [recorded[made[i].name] for i in at])
    for i in at:
        apart = apart.given([i], [recorded[made[i].name]])
    private = slice(len(made), None)
    assert apart.mean[private] == pytest.approx(together.mean[private], abs=1e-6)
    assert apart.covariance[private, private] == pytest.approx(together.covariance[private, private], abs=1e-8)


@given(candidates(), st.integers(100, 20_000))
def test_a_boards_noise_is_computed_from_the_lines_that_were_scored(made: list[Candidate], lines: int) -> None:
    """Fewer lines with the same spread out of fold are as fewer training lines; and each candidate has its own."""
    agreements, fewer = agreement(made), [replace(one, lines=lines) for one in made]
    old, new = (
        prior_forecast(made, agreements, LineCounts(lines, 3000), SETTINGS),
        prior_forecast(fewer, agreements, LINES, SETTINGS),
    )
    assert new.covariance == pytest.approx(old.covariance, rel=1e-12)
    one = prior_forecast([fewer[0], *made[1:]], agreements, LINES, SETTINGS).covariance
    same = [*range(1, len(made)), *range(len(made) + 1, 2 * len(made))]
    assert one[0, 0] == new.covariance[0, 0]
    assert (
        one[np.ix_(same, same)] == prior_forecast(made, agreements, LINES, SETTINGS).covariance[np.ix_(same, same)]
    ).all()
    assert np.linalg.eigvalsh(one).min() > -1e-9


def test_a_better_score_than_expected_raises_all_expectations_and_more_of_the_alike() -> None:
    made = [candidate("a", 0.9, range(100)), candidate("b", 0.9, range(10, 110)), candidate("c", 0.9, range(90, 190))]
    before, after = (Planner(made, LINES, SETTINGS).plan(recorded).outlooks for recorded in ({}, {"a": 0.93}))
    a, b, c = (then.private - now.private for now, then in zip(before, after, strict=True))
    assert a > b > c > 0
    worse = Planner(made, LINES, SETTINGS).plan({"a": 0.87}).outlooks
    for now, up, down in zip(before, after, worse, strict=True):
        assert now.private - down.private == pytest.approx(up.private - now.private)


# the expected maximum


@given(SCORES, st.integers(1, 5), st.floats(0.0, 0.1))
def test_the_maximum_of_one_score_many_times_is_its_mean(mean: float, count: int, sd: float) -> None:
    found = expected_maximum(np.full(count, mean), np.full((count, count), sd**2))
    assert found == pytest.approx(mean, abs=1e-8)


def gaussians(draw: st.DrawFn, size: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = st.floats(-1, 1)
    root = np.array([[draw(numbers) for _ in range(size)] for _ in range(size)])
    return np.array([draw(numbers) for _ in range(size)]), root @ root.T


@given(st.data())
def test_draws_agree_with_clarks_formula(data: st.DataObject) -> None:
    """A third that equals the first changes no maximum, only the way to compute it."""
    mean, covariance = gaussians(data.draw, 2)
    again = [0, 1, 0]
    exact, drawn = expected_maximum(mean, covariance), expected_maximum(mean[again], covariance[np.ix_(again, again)])
    spread = math.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0))
    assert drawn == pytest.approx(exact, abs=1e-7 + 4 * spread / math.sqrt(1000))


@given(st.data())
def test_one_more_never_lowers_the_maximum_and_none_is_above_it(data: st.DataObject) -> None:
    mean, covariance = gaussians(data.draw, 4)
    found = [expected_maximum(mean[:size], covariance[:size, :size]) for size in (1, 2, 3, 4)]
    slack = 5 * np.sqrt(np.diag(covariance).max()) / math.sqrt(1000)
    for size, (fewer, more) in enumerate(pairwise(found), start=2):
        assert more >= fewer - slack
        assert more >= mean[:size].max() - 1e-7


@given(SCORES, SCORES, st.floats(0.001, 0.1), st.floats(0.001, 0.1))
def test_the_more_alike_two_are_the_lower_their_maximum(one: float, other: float, first: float, second: float) -> None:
    mean = np.array([one, other])
    found = []
    for shared in (-0.5, 0.0, 0.5, 0.9, 1.0):
        both = shared * first * second
        found.append(expected_maximum(mean, np.array([[first**2, both], [both, second**2]])))
    assert all(left >= right - 1e-12 for left, right in pairwise(found))


# what to send


def test_without_scores_the_best_out_of_fold_is_sent_first() -> None:
    made = [candidate("a", 0.88, range(100)), candidate("b", 0.9, range(5, 105)), candidate("c", 0.85, range(9, 109))]
    plan = Planner(made, LINES, SETTINGS.replace(submissions=1)).plan({})
    assert (plan.send, plan.choose, plan.correlation) == (("b",), (), None)


def test_of_two_as_good_the_more_different_is_sent() -> None:
    made = [
        candidate("a", 0.9, range(100)),
        candidate("b", 0.899, range(1, 101)),
        candidate("c", 0.899, range(50, 150)),
    ]
    assert Planner(made, LINES, SETTINGS).plan({}).send == ("a", "c")
    assert Planner(made, LINES, SETTINGS.replace(submissions=1)).plan({"a": 0.9}).send == ("c",)


def test_the_value_of_sending_is_that_of_contests_played_out() -> None:
    """Scores drawn of what is believed, the forecast conditioned on each, the better of the pair by then taken."""
    made = [
        candidate("a", 0.9, range(100)),
        candidate("b", 0.896, range(30, 130)),
        candidate("c", 0.88, range(60, 160)),
    ]
    forecast = prior_forecast(made, agreement(made), LINES, SETTINGS).given([0], [0.9])
    rng = np.random.default_rng(3)
    sending = [1, 2]
    draws = rng.multivariate_normal(forecast.mean[sending], forecast.covariance[np.ix_(sending, sending)], 4000)
    best = []
    for scores in draws:
        then = forecast.given(sending, scores)
        pair = [3 + i for i in final_pair(then, [0, 1, 2])]
        best.append(expected_maximum(then.mean[pair], then.covariance[np.ix_(pair, pair)]))
    assert value_of_sending(forecast, [0], sending) == pytest.approx(
        np.mean(best), abs=5 * np.std(best) / math.sqrt(4000)
    )


@given(candidates(least=3))
def test_sending_more_is_never_worth_less(made: list[Candidate]) -> None:
    forecast = prior_forecast(made, agreement(made), LINES, SETTINGS)
    values = [value_of_sending(forecast, [], list(range(count))) for count in range(1, len(made) + 1)]
    slack = 5 * math.sqrt(np.diag(forecast.covariance).max() / 1000)
    assert all(more >= fewer - slack for fewer, more in pairwise(values))
    assert values[0] == pytest.approx(forecast.mean[0])


@given(contests(), st.integers(1, 8))
def test_nothing_is_sent_twice(contest: tuple[list[Candidate], dict[str, float]], count: int) -> None:
    """Neither a submission nor another with its very answer; and as many are sent as there may be."""
    made, recorded = contest
    plan = Planner(made, LINES, SETTINGS.replace(submissions=count)).plan(recorded)
    answer = {one.name: one.spans for one in made}
    known = {answer[name] for name in recorded}
    new = [answer[name] for name in plan.send]
    assert len(set(new)) == len(new) == min(count, len(set(answer.values()) - known))
    assert not known & set(new)


@given(contests(), st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing(contest: tuple, random: object) -> None:  # type: ignore[type-arg]
    made, recorded = contest
    mixed = list(made)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert Planner(mixed, LINES, SETTINGS).plan(recorded) == Planner(made, LINES, SETTINGS).plan(recorded)


@given(contests())
def test_the_pair_is_of_what_was_sent_the_best_expected_first(contest: tuple) -> None:  # type: ignore[type-arg]
    made, recorded = contest
    plan = Planner(made, LINES, SETTINGS).plan(recorded)
    private = {outlook.candidate.name: outlook.private for outlook in plan.outlooks if outlook.recorded is not None}
    assert len(set(plan.choose)) == len(plan.choose) == min(2, len(recorded))
    assert set(plan.choose) <= set(recorded)
    assert not recorded or private[plan.choose[0]] == max(private.values())


def test_the_second_choice_is_not_the_firsts_likeness() -> None:
    mean = np.array([0.9, 0.8990, 0.8985] * 2)
    covariance = np.eye(6) * 1e-4
    covariance[3:, 3:] = [[1e-4, 0.99e-4, 0], [0.99e-4, 1e-4, 0], [0, 0, 1e-4]]
    assert final_pair(Forecast(mean, covariance), [0, 1, 2]) == [0, 2]
    assert final_pair(Forecast(mean, covariance), [0, 1]) == [0, 1]


def test_an_outlook_says_what_agrees_and_how_likely_it_is_better() -> None:
    made = [candidate("a", 0.9, range(100)), candidate("b", 0.9, range(10, 110)), candidate("c", 0.9, range(50, 150))]
    plan = Planner(made, LINES, SETTINGS).plan({"a": 0.9, "c": 0.9})
    a, b, c = plan.outlooks
    assert b.nearest == ("a", 0.9)
    assert (a.nearest, c.nearest) == (("c", 0.5), ("a", 0.5))
    assert a.improvement is c.improvement is None
    assert b.improvement == pytest.approx(0.5, abs=0.02)
    assert b.interval[0] < b.public < b.interval[1]
    assert Planner(made[:1], LINES, SETTINGS).plan({}).outlooks[0].nearest is None


# correlation


def test_correlation_by_hand() -> None:
    pearson, spearman = correlation([1, 2, 3, 4], [1, 2, 9, 4])  # type: ignore[misc]
    assert pearson == pytest.approx(8 / math.sqrt(5 * 38))
    assert spearman == pytest.approx(0.8)
    assert correlation([1, 2, 2], [3, 4, 4])[1] == pytest.approx(1)  # type: ignore[index]
    assert correlation([1, 2], [1, 2]) is None
    assert correlation([1, 1, 1], [1, 2, 3]) is None
