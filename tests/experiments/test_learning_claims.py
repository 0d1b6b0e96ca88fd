"""The claims about text and geometry at toy size: every side runs, the table is printed, and nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daguan.cli.app import main
from daguan.core.errors import DataError
from daguan.experiments.claims import parts, running
from daguan.experiments.claims.text import TextClaimSettings, text_of
from daguan.training.devices import prepare_process
from toy_news import toy_news

SMALL = ["seeds=1", "threads=1", "device=cpu", "grid=full"]
TEXT = ["layers=1", "train_lines=0", "test_lines=0"]
TOYS = {
    "roberta": [*TEXT, "hidden=64", "length=32", "tokens=1024", "batch_size=4", "epochs=1"],
    "mass": [*TEXT, "hidden=64", "length=32", "tokens=1024", "batch_size=4", "epochs=1"],
    "transformer-xl": [
        *TEXT, "width=64", "segment=8", "tokens=1024", "batch_size=4", "held_out=1000", "step=4", "steps=3",
        "judged=50", "speed_context=20",
    ],
    "daguan-rank9": [
        *TEXT, "hidden=64", "length=32", "tokens=1024", "epochs=2", "folds=2", "encoder=bert",
    ],
    "pointer": ["updates=1", "hidden=8", "batch_size=4", "tested=20"],
}  # fmt: skip
COMPARED = {
    "roberta": 5,
    "mass": 7,
    "transformer-xl": 8,
    "daguan-rank9": 12,
    "pointer": 9,
}  # of a folder there are no formats


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_news(tmp_path_factory.mktemp("news"))


@pytest.mark.parametrize("name", TOYS)
def test_every_side_runs_the_table_is_printed_and_a_second_call_trains_nothing(
    name: str, news: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [] if name == "pointer" else [f"data={news}"]
    words = ["reproduce", name, *SMALL, *TOYS[name], *data, f"work={tmp_path}"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    sides = [*parts.claim_of(name).sides(running.load(name, words[2:]))]
    assert [part["side"] for part in found["parts"]] == sides
    assert found["verdict"] == "not seen at this size"  # of one seed
    assert len(found["comparisons"]) == COMPARED[name]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(parts, "_train", refuse)
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(side in shown for side in sides)
    assert all(one["paper"] in shown for one in found["comparisons"])
    assert (tmp_path / f"reproduce-{name}" / "plot.svg").is_file()


def test_a_side_s_figures_are_the_same_when_it_is_trained_again(news: Path, tmp_path: Path) -> None:
    for name, side in (("roberta", "static"), ("mass", "discrete"), ("transformer-xl", "rnn"), ("pointer", "lstm")):
        claim = parts.claim_of(name)
        data = [] if name == "pointer" else [f"data={news}"]
        chosen = running.load(name, [*SMALL, *TOYS[name], *data, f"work={tmp_path}"])
        prepare_process(1)
        assert claim.train(side, 1, chosen) == claim.train(side, 1, chosen)
        assert claim.train(side, 2, chosen) != claim.train(side, 1, chosen)


def test_a_folder_without_the_labels_of_its_test_lines_is_refused(news: Path, tmp_path: Path) -> None:
    folder = toy_news(tmp_path / "news")
    (folder / "test_gold.txt").unlink()
    with pytest.raises(DataError, match=r"test_gold\.txt: expected the labels of the test lines"):
        text_of(TextClaimSettings(data=str(folder), work=str(tmp_path)))


def test_the_text_of_the_corpus_alone_lacks_the_labelled_lines_and_those_it_has_are_no_task(
    tmp_path: Path,
) -> None:
    folder = toy_news(tmp_path / "news")
    chosen = TextClaimSettings(data=str(folder), work=str(tmp_path / "work"), train_lines=0, test_lines=0)
    whole, alone = text_of(chosen), text_of(chosen, corpus_alone=True)
    assert len(alone.blocks(16)) < len(whole.blocks(16))
    assert 0 < len(alone.unseen(alone.train)) < len(alone.train)
