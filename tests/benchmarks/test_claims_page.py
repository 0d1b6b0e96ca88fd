"""The page of claims: one claim after another, continued where it stopped, and made from the stored lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import toy_claim
from benchmarks import claims
from daguan.core.tables import Row
from daguan.experiments.claims.table import CLAIMS

ROWS = dict(CLAIMS)
HERE = "threads=1"  # in this process: others do not know the toy


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, path in {"RECORDS": "claims.jsonl", "PAGE": "claims.md", "PLOTS": "claims", "WORK": "work"}.items():
        monkeypatch.setattr(claims, name, tmp_path / path)
    for name in list(CLAIMS):
        monkeypatch.delitem(CLAIMS, name)
    for name in ("one", "two"):
        monkeypatch.setitem(CLAIMS, name, Row("toy_claim:CLAIM", about=f"Toy 2026: claim {name}"))
    monkeypatch.setattr(toy_claim, "TRAINED", [])
    return tmp_path


def test_a_recorded_claim_is_not_run_again_and_all_stand_on_the_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims.main(["two", "seeds=2", HERE])
    assert len(toy_claim.TRAINED) == 4
    claims.main(["seeds=2", HERE, "--json"])
    assert len(toy_claim.TRAINED) == 8
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]) == 2
    lines = [json.loads(text) for text in (folder / "claims.jsonl").read_text("utf-8").splitlines()]
    assert [line["claim"] for line in lines] == ["two", "one"]
    page = (folder / "claims.md").read_text("utf-8")
    assert page.index(f"## one seeds=2 {HERE}\n") < page.index(f"## two seeds=2 {HERE}\n")
    assert page.count("score, %: better over plain") == 2
    for line in lines:
        assert f"(claims/{line['plot']})" in page
        assert (folder / "claims" / line["plot"]).is_file()
        assert "work" not in line["settings"]
    claims.main(["one", HERE])
    assert f"## one {HERE}\n" in (folder / "claims.md").read_text("utf-8")


@pytest.mark.parametrize("name", ROWS)
def test_each_claim_explains_its_sides(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLAIMS, name, ROWS[name])
    assert all(claims.explanation(name))
    assert len(claims.explanation(name)) >= 1


def test_a_plot_lies_beside_the_others_whatever_the_words_hold() -> None:
    assert claims.plot_name("one", ["data=../a/b.npz", "seeds=2"]) == "one-data-a-b-npz-seeds-2.svg"
    assert "/" not in claims.plot_name("one", ["work=/x/../y"])


def test_an_unknown_claim_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        claims.main(["three"])
    assert stopped.value.code == 2
    assert "got three" in capsys.readouterr().err
    assert not (folder / "claims.md").exists()
