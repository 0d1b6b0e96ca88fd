"""How a claim is run: seed after seed, continued where it was stopped, within its minutes, with shared parts."""

from __future__ import annotations

from pathlib import Path

import pytest

import toy_claim
from daguan.core.tables import Row
from daguan.experiments.claims import running
from daguan.experiments.claims.claim import Part, mean_curves
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
    monkeypatch.setattr(running.Stopwatch, "seconds", 31.0)  # so that a seed of two sides takes 62 s
    found = outcome(tmp_path / "one", "minutes=2")
    assert (toy_claim.TRAINED, found.left_out) == (ROUND[:2], 2)
    assert outcome(tmp_path / "two", "minutes=3").left_out == 1
    assert outcome(tmp_path / "two", "minutes=2").left_out == 1  # what is trained is shown
    assert outcome(tmp_path / "three", "minutes=4").left_out == 0


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
    parts = [Part("a", 1 + i, {"x": list(range(len(y))), "y": y}, 0.0) for i, y in enumerate(curves)]
    assert mean_curves([*parts, Part("b", 1, {}, 0.0)], "x", "y") == {"a": [(0, 1), (1, 3)]}
