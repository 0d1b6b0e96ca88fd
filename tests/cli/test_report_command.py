"""The page of a finished run: its counts are those of `score`, and its text stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from daguan.__main__ import main
from daguan.data.contest import Contest
from daguan.data.format import parse_labelled
from daguan.report.lines import counts
from report_pages import HOSTILE, Scripts, data_of, finished, hostile_run

LARGEST = 15e6


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return hostile_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    finished(words)
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert main(["report", *words, "--output", str(path)]) == 0
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def contest_lines(words: list[str]) -> list[str]:
    (folder,) = (word.partition("=")[2] for word in words if word.startswith("data.dir="))
    return Contest(Path(folder)).train.read_text("utf-8").split("\n")


def test_a_report_before_a_blend_names_the_command_to_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *words, "data.work=elsewhere"]) == 2
    assert "; run: python -m daguan prepare" in capsys.readouterr().err


def test_the_counts_of_the_page_are_those_of_score(
    page: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["score", *words, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    found = counts(data_of(page)["lines"])
    assert found.keys() == scores["out_of_fold"].keys() == scores["test"].keys()
    for name, (train, test) in found.items():
        for counted, part in ((train, "out_of_fold"), (test, "test")):
            expected = scores[part][name]["span"]
            assert (counted.hits, counted.predicted, counted.gold) == tuple(
                expected[n] for n in ("hits", "predicted", "gold")
            )


def test_tokens_that_are_html_are_text_and_the_page_loads_nothing(page: str) -> None:
    parser = Scripts()
    parser.feed(page)
    assert len(parser.scripts) == 2
    assert set(HOSTILE.values()) <= set(data_of(page)["tokens"])
    assert "b" not in parser.tags[parser.tags.index("main") :]
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert len(page.encode()) < LARGEST


def test_the_page_has_every_section(page: str) -> None:
    assert re.findall(r'<section id="(\w+)"', page) == ["leaderboard", "errors", "explorer", "data", "curves", "making"]
    assert page.count("<svg") >= 5


def test_a_line_in_the_terminal_is_the_line_of_the_file(
    page: str, words: list[str], contest_lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 7):
        capsys.readouterr()
        assert main(["look", f"line={number}", *words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        gold = parse_labelled(contest_lines[number - 1])
        assert tuple(found["tokens"]) == gold.tokens
        ours = [(one["start"], one["stop"], one["label"]) for one in found["tracks"]["gold"]]
        assert ours == [(span.start, span.stop, span.label) for span in gold.gold]
    assert main(["look", "line=1", *words]) == 0
    assert "_".join(parse_labelled(contest_lines[0]).tokens) in capsys.readouterr().out


def test_a_string_in_the_terminal_has_all_its_places(
    page: str, words: list[str], contest_lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [parse_labelled(line) for line in contest_lines]
    capsys.readouterr()
    assert main(["look", "string=a0", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["train"] == sum(line.tokens.count("a0") for line in lines)
    assert sum(found["labels"].values()) == found["train"] + found["test"]
    assert len(found["places"]) == min(50, found["train"] + found["test"])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("line=0", "line: expected a number from 1 to 61, got '0'"),
        ("string=nowhere", "string: expected tokens of train or test, joined by '_', got 'nowhere'"),
        ("word=x", "look: expected line=NUMBER, test=NUMBER or string=TOKENS, got 'word=x'"),
    ],
)
def test_what_cannot_be_looked_at_is_named(
    page: str, words: list[str], what: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["look", what, *words]) == 2
    assert capsys.readouterr().err == f"daguan: {message}\n"


def test_the_same_run_gives_the_same_page(
    page: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "again.html"
    capsys.readouterr()
    assert main(["report", *words, "--output", str(path), "--json"]) == 0
    assert path.read_text("utf-8") == page
    assert json.loads(capsys.readouterr().out)["bytes"] == len(page.encode())
