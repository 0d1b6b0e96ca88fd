"""The command reproduce with claims: the list, an outcome as tables and JSON, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import toy_claim
from daguan.cli.app import main
from daguan.experiments.claims.claim import COMMON
from daguan.experiments.claims.table import CLAIMS, ClaimRow
from daguan.experiments.geometry.tasks import TASKS


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.setitem(
        CLAIMS, "toy", ClaimRow("toy_claim:CLAIM", about="Toy 2026: more is better", trains="nothing", minutes=1)
    )
    monkeypatch.setattr(toy_claim, "TRAINED", [])
    return ["reproduce", "toy", f"work={tmp_path}", "threads=1", "device=cpu"]


def test_the_list_names_every_claim_and_what_it_trains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{shown}" for name in [*TASKS, *CLAIMS])
    assert main(["reproduce", "--json"]) == 0
    listed = {one["claim"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed.keys() == {*TASKS, *CLAIMS}
    for name, row in CLAIMS.items():
        one = listed[name]
        assert set(COMMON) <= one["settings"].keys()
        assert one["says"] == row.about
        assert f"{row.about}. Trains {row.trains}." in shown
        assert 0 < one["minutes"] <= one["settings"]["minutes"]["default"]
        assert (one["sides"], one["seeds"]) >= (4, 3)
        assert all(setting["meaning"] for setting in one["settings"].values())


def test_a_claim_s_settings_stand_with_their_defaults_and_train_nothing(
    toy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*toy, "--settings"]) == 0
    shown = capsys.readouterr().out
    assert "noise=0.01  " in shown
    assert "Standard deviation of a side's score." in shown
    assert main([*toy, "--settings", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["noise"]["default"] == 0.01
    assert main(["reproduce", "tsp", "--settings"]) == 0
    assert "beam=" in capsys.readouterr().out
    assert toy_claim.TRAINED == []
    assert not list(tmp_path.iterdir())


def test_an_outcome_stands_beside_the_paper_s_figures(
    tmp_path: Path, toy: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(toy) == 0
    shown = capsys.readouterr().out
    for text in ("Toy et al. 2026, table 1", "2.0 against 1.0", "not available", "toy: holds", "differs"):
        assert text in shown
    assert "score, %: better over plain" in shown
    assert "absent" not in shown  # a figure that no side has
    ElementTree.parse(tmp_path / "reproduce-toy" / "plot.svg")
    assert main([*toy, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["verdict"] == "holds"
    assert [one["verdict"] for one in found["comparisons"]] == ["holds", "against"]
    assert len(found["parts"]) == 6
    assert "curve" not in found["parts"][0]["figures"]
    assert found["settings"]["noise"] == 0.01
    assert len(toy_claim.TRAINED) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seeds=0"], "seeds: expected at least 1, got 0"),
        (["grid=all"], "grid: expected few or full, got 'all'"),
        (["nois=1"], "nois: no such setting; did you mean 'noise'?"),
        (["noise"], "command line: expected key=value, got 'noise'"),
        (["minutes=0"], "minutes: expected over 0, got 0.0"),
    ],
)
def test_a_mistake_in_a_claim_s_settings_gets_one_line(
    tmp_path: Path, toy: list[str], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*toy, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())
