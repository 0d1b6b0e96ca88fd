"""How a claim is run: seed after seed, continued where it was stopped, within its minutes, with shared parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import toy_claim
from daguan.core.errors import DataError
from daguan.core.tables import Row
from daguan.experiments.claims import parts, running
from daguan.experiments.claims.claim import Part, mean_curves
from daguan.experiments.claims.parts import wall_seconds
from daguan.experiments.claims.table import CLAIMS
from daguan.experiments.claims.verdict import AGAINST, HOLDS

ROUND = [("plain", 1), ("better", 1), ("plain", 2), ("better", 2), ("plain", 3), ("better", 3)]


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLAIMS, "toy", Row("toy_claim:CLAIM", about="Toy 2026: more is better"))
    monkeypatch.setattr(toy_claim, "TRAINED", [])


def outcome(work: Path, *words: str) -> running.Outcome:
    return running.run_claim("toy", running.load("toy", [f"work={work}", "threads=1", "device=cpu", *words]))


def test_seeds_are_the_outer_loop_and_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    first = outcome(tmp_path)
    assert toy_claim.TRAINED == ROUND
    assert outcome(tmp_path) == first
    assert toy_claim.TRAINED == ROUND


def test_more_seeds_and_the_full_grid_keep_the_parts_and_other_sizes_do_not(tmp_path: Path) -> None:
    outcome(tmp_path, "seeds=2")
    outcome(tmp_path)
    assert toy_claim.TRAINED == ROUND
    outcome(tmp_path, "grid=full", "seeds=2", "minutes=1")
    assert toy_claim.TRAINED[6:] == [("more", 1), ("more", 2)]
    outcome(tmp_path, "noise=0.02", "seeds=1")
    assert toy_claim.TRAINED[8:] == ROUND[:2]


def test_a_stopped_run_continues_and_ends_as_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = running.record(outcome(tmp_path / "whole"))
    toy_claim.TRAINED.clear()
    monkeypatch.setattr(toy_claim, "STOPS_AT", 4)
    with pytest.raises(KeyboardInterrupt):
        outcome(tmp_path / "stopped")
    monkeypatch.setattr(toy_claim, "STOPS_AT", 0)
    continued = running.record(outcome(tmp_path / "stopped"))
    assert toy_claim.TRAINED == ROUND
    for one in (whole, continued):
        del one["settings"], one["seconds"]
        one["parts"] = [part["figures"] for part in one["parts"]]
    assert continued == whole


def test_the_first_seed_is_always_trained_and_no_other_beyond_the_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.Stopwatch, "seconds", 31.0)  # so that a seed of two sides takes 62 s
    found = outcome(tmp_path / "one", "minutes=2")
    assert (toy_claim.TRAINED, found.left_out) == (ROUND[:2], 2)
    assert outcome(tmp_path / "two", "minutes=3").left_out == 1
    assert outcome(tmp_path / "two", "minutes=2").left_out == 1  # what is trained is shown
    assert outcome(tmp_path / "three", "minutes=4").left_out == 0


def test_where_the_minutes_pay_for_fewer_seeds_than_processes_these_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes train four parts of 31 s in 62 s, and the two parts of a seed alone in 31 s."""
    monkeypatch.setattr(parts.Stopwatch, "seconds", 31.0)
    monkeypatch.setattr(running, "processes_of", lambda chosen: 2)
    monkeypatch.setattr(running, "train_parts", lambda wanted, processes: parts.train_parts(wanted, 1))
    for minutes, seeds in ((1.0, 2), (1.5, 2), (1.6, 3), (2.0, 3), (2.1, 4)):
        found = outcome(tmp_path / str(minutes), "seeds=4", f"minutes={minutes}")
        assert {part.seed for part in found.parts} == set(range(1, seeds + 1)), minutes
        assert found.left_out == 4 - seeds
        assert found.seconds == 31.0 * seeds
        assert outcome(tmp_path / str(minutes), "seeds=4", f"minutes={minutes}") == found


def test_differences_are_paired_and_only_of_sides_that_were_trained(tmp_path: Path) -> None:
    few = outcome(tmp_path)
    assert [(one.comparison.side, one.verdict) for one in few.compared] == [("better", HOLDS), ("plain", AGAINST)]
    assert few.verdict == HOLDS
    scores = {(part.side, part.seed): part.figures["score"] for part in few.parts}
    differences = [scores["better", seed] - scores["plain", seed] for seed in (1, 2, 3)]
    assert few.compared[0].interval.mean == pytest.approx(sum(differences) / 3)
    assert len(outcome(tmp_path, "grid=full").compared) == 3


def test_the_mean_curve_is_the_mean_of_points_as_far_as_all_seeds_reach() -> None:
    curves = [[0.0, 2.0, 9.0], [2.0, 4.0]]
    both = [Part("a", 1 + i, {"x": list(range(len(y))), "y": y}, 0.0) for i, y in enumerate(curves)]
    assert mean_curves([*both, Part("b", 1, {}, 0.0)], "x", "y") == {"a": [(0, 1), (1, 3)]}


DIGITS = ["train_images=64", "width=2", "updates=3", "points=2", "seeds=3", "device=cpu"]


def test_parts_that_are_trained_side_by_side_have_the_figures_of_those_that_are_trained_in_turn(tmp_path: Path) -> None:
    """Three seeds on two processes: the last one has no other beside it."""
    found = []
    for threads in (1, 2):
        words = [*DIGITS, f"threads={threads}", f"work={tmp_path / str(threads)}"]
        found.append(running.run_claim("multi-sample-dropout", running.load("multi-sample-dropout", words)))
    timed = ("second", "milliseconds")
    alone, together = (
        [(one.side, one.seed, {name: value for name, value in one.figures.items() if name not in timed})
         for one in outcome.parts]
        for outcome in found
    )  # fmt: skip
    assert alone == together
    assert len(alone) == 12
    seconds = [part.seconds for part in found[0].parts]
    assert found[0].seconds == pytest.approx(sum(seconds))
    shown = running.run_claim("multi-sample-dropout", found[1].chosen)
    assert shown == found[1]


def test_a_mistake_in_another_process_is_the_same_mistake(tmp_path: Path) -> None:
    np.savez(tmp_path / "others.npz", others=np.zeros(3))
    words = [*DIGITS, "threads=2", f"data={tmp_path / 'others.npz'}", f"work={tmp_path}"]
    with pytest.raises(DataError, match=r"others\.npz: expected the arrays"):
        running.run_claim("multi-sample-dropout", running.load("multi-sample-dropout", words))


def test_the_wall_time_is_that_of_parts_which_are_begun_when_a_process_is_free() -> None:
    assert wall_seconds([3.0, 1.0, 1.0, 2.0], 1) == 7.0
    assert wall_seconds([3.0, 1.0, 1.0, 2.0], 2) == 4.0
    assert wall_seconds([1.0, 1.0, 5.0], 2) == 6.0
    assert wall_seconds([2.0, 1.0], 3) == 2.0
