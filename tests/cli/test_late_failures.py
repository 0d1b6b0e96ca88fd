"""What could not work in a later stage is refused by `prepare`, before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import TINY, write_contest
from daguan.cli.app import main


@pytest.fixture
def words(contest: Path, tmp_path: Path) -> list[str]:
    return [*TINY, f"data.dir={contest}", f"data.work={tmp_path / 'work'}", f"data.submissions={tmp_path / 'sub'}"]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the one line with which `prepare` ends."""
    assert main(["prepare", *words]) in (2, 74)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("daguan: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["encoder.checkpoint=no/such"], "no/such: expected a folder with a checkpoint, got none"),
        (["blend.runs=ngram_crf-123"], "blend.runs: "),
        (["conflicts.training=relabel", "conflicts.run=ngram_crf-123"], "conflicts.run: "),
        (["name=" + "n" * 300], "name: expected a name that fits into one of 255 bytes"),
        (["ensemble={" + "m" * 300 + ": {}}"], "names of at most 200 bytes"),
        (["members=[tagger, tagger]"], "members: expected each once, got ('tagger', 'tagger')"),
    ],
)
def test_a_setting_that_a_later_stage_would_refuse(
    words: list[str], capsys: pytest.CaptureFixture[str], changes: list[str], message: str
) -> None:
    assert message in refused([*words, *changes], capsys)


def test_pseudo_labels_without_a_corpus(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_contest(tmp_path / "contest")
    (folder / "corpus.txt").unlink()
    taught = "{taught: {pseudo_labels: {teachers: [ngram_crf], test: false, corpus_lines: 9}}}"
    changes = [f"data.dir={folder}", f"ensemble={taught}", "members=[ngram_crf, taught]"]
    assert "expected a corpus, as pseudo_labels.test is false" in refused([*words, *changes], capsys)


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_folder_of_submissions_that_is_a_file(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str], below: str
) -> None:
    (tmp_path / "file").write_text("")
    assert "expected a folder, got a file at" in refused([*words, f"data.submissions={tmp_path}/file{below}"], capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_submissions_without_permission(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir(mode=0o500)
    assert "got no permission" in refused(words, capsys)


def test_a_leaderboard_of_another_encoding(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "LEADERBOARD.md").write_bytes("说明".encode("gbk"))
    assert "LEADERBOARD.md:1: expected UTF-8" in refused(words, capsys)


def test_more_types_than_can_be_trained(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_contest(tmp_path / "contest")
    with (folder / "train.txt").open("a", encoding="utf-8") as train:
        train.write("".join(f"\n{number}/t{number}" for number in range(1_001)))
    assert "expected at most 1,000 entity types" in refused([*words, f"data.dir={folder}"], capsys)


def test_words_that_look_like_settings_but_name_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=3.yaml").write_text("name: found\n")
    assert main(["settings", "lr=3.yaml"]) == 0
    assert 'name: "found"' in capsys.readouterr().out
    for name in ("p=1.txt", "gold.txt"):
        Path(name).write_text("1/a")
    assert main(["score", "p=1.txt", "gold.txt"]) == 0
