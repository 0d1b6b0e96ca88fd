"""`prepare` keeps the lines of a document in one fold, and says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.data.contest import Contest
from daguan.data.folds import read_folds
from daguan.data.format import read_labelled
from daguan.formats.code_book import CodeBook
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages


@pytest.fixture
def words(contest: Path, tmp_path: Path) -> list[str]:
    shutil.copytree(contest, tmp_path / "contest")
    return [*TINY, f"data.dir={tmp_path / 'contest'}", f"data.work={tmp_path / 'work'}"]


def test_folds_follow_the_documents_and_the_run_follows_the_file(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepared(*more: str) -> tuple[str, list[int], str]:
        assert main(["prepare", *words, *more]) == 0
        run = Stages(load([*words, *more])).prepare
        return run.key, read_folds(run.path).tolist(), capsys.readouterr().err

    groups = tmp_path / "contest" / "groups.txt"
    lines = len(read_labelled(tmp_path / "contest" / "train.txt"))
    plain, apart, said = prepared()
    assert "folds   2, stratified" in said
    groups.write_text("\n".join(str(number % 5) for number in range(lines)))
    by_file, folds, said = prepared()
    assert "whole groups: the documents of groups.txt" in said
    assert all(fold == folds[number % 5] for number, fold in enumerate(folds))
    assert prepared("folds.group=1")[1] == apart
    assert "whole groups: runs of 3 lines" in prepared("folds.group=3")[2]
    sampled = prepared("folds.lines=20")[1]
    assert (len(sampled), set(sampled)) == (20, {0, 1})
    groups.write_text("\n".join(str(number % 7) for number in range(lines)))
    assert len({plain, by_file, prepared()[0]}) == 3


def test_the_report_has_the_labels_of_the_users_data(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    CodeBook({}, {"Per son": "a", "LOC": "b"}).save(Contest(tmp_path / "contest"))
    assert main(["prepare", *words]) == 0
    said = capsys.readouterr().err
    assert [line.split(": ")[0] for line in said.partition("types   ")[2].partition("\n")[0].split("  ")] == [
        "Per son", "LOC", "c", "d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [("1\n\n2", ":2: expected the id of a document, got an empty line"), ("1\n2", ":3: expected 61 ids, one for each")],
)
def test_a_file_of_groups_that_does_not_fit_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "contest" / "groups.txt").write_text(text)
    assert main(["prepare", *words]) == 2
    assert f"groups.txt{message}" in capsys.readouterr().err.splitlines()[-1]
