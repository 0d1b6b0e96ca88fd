from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daguan.pipeline.tuning.trials import COMPLETE, FAILED, Outcome, Trial, best_of, pareto_front

FEW = st.integers(0, 4).map(float)  # so that there are ties
OUTCOMES = st.lists(st.one_of(st.none(), st.builds(Outcome, f1=FEW, seconds=FEW)), max_size=12)


def trials_of(outcomes: list[Outcome | None]) -> list[Trial]:
    return [
        Trial(index, COMPLETE if outcome else FAILED, {}, outcome=outcome) for index, outcome in enumerate(outcomes)
    ]


def beats(one: Outcome, other: Outcome) -> bool:
    no_worse = one.f1 >= other.f1 and one.seconds <= other.seconds
    return no_worse and (one.f1 > other.f1 or one.seconds < other.seconds)


@given(OUTCOMES)
def test_the_front_is_what_no_trial_beats(outcomes: list[Outcome | None]) -> None:
    scored = [outcome for outcome in outcomes if outcome]
    expected = {
        index
        for index, outcome in enumerate(outcomes)
        if outcome and not any(beats(other, outcome) for other in scored)
    }
    front = pareto_front(trials_of(outcomes))
    assert {trial.index for trial in front} == expected
    assert len(front) == len(expected)
    assert [trial.outcome.seconds for trial in front if trial.outcome] == sorted(
        trial.outcome.seconds for trial in front if trial.outcome
    )


@given(OUTCOMES)
def test_the_best_is_the_first_with_the_highest_f1(outcomes: list[Outcome | None]) -> None:
    f1s = [outcome.f1 if outcome else -1.0 for outcome in outcomes]
    best = best_of(trials_of(outcomes))
    if max(f1s, default=-1.0) < 0:
        assert best is None
    else:
        assert best is not None
        assert best.index == f1s.index(max(f1s))
