"""What advice gives in a rehearsal: the steps that a configuration could take, and how the advised ones compare."""

from __future__ import annotations

import numpy as np
import pytest

from daguan.core.types import Score
from daguan.report.advice import ADD, DROP, LONGER
from daguan.report.rehearsed import Step, judged, steps

OWN = {"crf": "crf-1", "tagger": "tagger-1"}


@pytest.mark.parametrize(
    ("other", "updates", "expected"),
    [
        ({"tagger": "tagger-2"}, 20, Step(LONGER, "tagger-1", ("crf-1", "tagger-2"))),
        ({"tagger": "tagger-2"}, 10, Step(ADD, "tagger-2", ("crf-1", "tagger-1", "tagger-2"))),
        ({"tagger": "tagger-2"}, 5, Step(ADD, "tagger-2", ("crf-1", "tagger-1", "tagger-2"))),
        ({"cnn": "cnn-1"}, 20, Step(ADD, "cnn-1", ("cnn-1", "crf-1", "tagger-1"))),
        ({"tagger": "tagger-1"}, 20, None),
    ],
)
def test_a_member_of_another_configuration_is_one_more_or_stands_for_its_namesake_of_fewer_updates(
    other: dict[str, str], updates: int, expected: Step | None
) -> None:
    done = {"tagger-1": 10.0} | {run: float(updates) for run in other.values() if run != "tagger-1"}
    drops = [Step(DROP, "crf-1", ("tagger-1",)), Step(DROP, "tagger-1", ("crf-1",))]
    assert steps(OWN, [OWN, other, other], done) == drops + ([expected] if expected else [])


def test_a_blend_of_one_has_no_member_to_leave_out() -> None:
    assert steps({"crf": "crf-1"}, [], {}) == []


def test_an_advised_step_is_compared_with_one_of_its_kind_at_random() -> None:
    rng = np.random.default_rng(3)

    def scores(share: float) -> list[Score]:
        return [Score(int(rng.random() < share), 1, 1) for _ in range(400)]

    base, after = scores(0.5), [scores(share) for share in (0.6, 0.4, 0.55)]
    taken = [Step(DROP, "a", ()), Step(DROP, "b", ()), Step(ADD, "c", ())]
    rows = judged(taken, [True, False, True], base, after)
    f1s = [sum(of_step, Score()).f1 - sum(base, Score()).f1 for of_step in after]
    assert [row["gain"] for row in rows] == pytest.approx(f1s)
    assert all(row["interval"][0] <= row["gain"] <= row["interval"][1] for row in rows)
    assert rows[0]["random"] == pytest.approx((f1s[0] + f1s[1]) / 2)
    assert rows[0]["better"] > 0.99
    assert [(row["random"], row["better"]) for row in rows[1:]] == [(None, None)] * 2


def test_without_a_step_there_is_nothing_to_judge() -> None:
    assert judged([], [], [Score(1, 1, 1)], []) == []
