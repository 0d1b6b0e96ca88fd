"""The command reproduce with claims: the list, an outcome as tables and JSON, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import toy_claim
from daguan.__main__ import main
from daguan.core.tables import Row
from daguan.experiments.claims.claim import COMMON
from daguan.experiments.claims.table import CLAIMS
from daguan.experiments.geometry.tasks import TASKS


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.setitem(CLAIMS, "toy", Row("toy_claim:CLAIM", about="Toy 2026: more is better"))
    monkeypatch.setattr(toy_claim, "TRAINED", [])
    return ["reproduce", "toy", f"work={tmp_path}", "threads=1", "device=cpu"]


def test_the_list_names_every_claim_and_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{shown}" for name in [*TASKS, *CLAIMS])
    assert main(["reproduce", "--json"]) == 0
    listed = {one["claim"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed.keys() == {*TASKS, *CLAIMS}
    for name, row in CLAIMS.items():
        assert set(COMMON) <= listed[name]["settings"].keys()
        assert listed[name]["says"] == row.about
        assert all(f" {setting}=" in shown for setting in listed[name]["settings"])
        assert all(setting["meaning"] for setting in listed[name]["settings"].values())


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
