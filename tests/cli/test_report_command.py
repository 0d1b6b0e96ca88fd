"""The page of a finished run: its counts are those of `score`, and its text stays text."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from daguan.cli.app import main
from daguan.competition.public_scores import record
from daguan.data.contest import Contest
from daguan.data.format import parse_labelled
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
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
    assert len(parser.scripts) == 3
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


def test_a_public_score_stands_beside_the_row_whose_answer_was_submitted(
    page: str, words: list[str], tmp_path: Path
) -> None:
    (out,) = (Path(word.partition("=")[2]) for word in words if word.startswith("data.submissions="))
    sent, path = tmp_path / "sent", tmp_path / "scored.html"
    shutil.copytree(out, sent)
    (answer,) = sent.glob("*.txt")
    record(sent, answer.stem, 0.8125, "2019-08-31")
    assert main(["report", *words, f"data.submissions={sent}", "--output", str(path)]) == 0
    assert "0.812" not in page
    rows = re.findall(r"<tr.*?</tr>", path.read_text("utf-8"), re.DOTALL)
    scored = [row for row in rows if ">0.812<" in row]
    assert [next(name for name in ("blend", answer.stem) if f">{name}<" in row) for row in scored] == [
        "blend",
        answer.stem,
    ]


def test_each_job_has_what_it_took(page: str, words: list[str]) -> None:
    table = page[page.index('aria-label="Seconds of each job"') :]
    rows = re.findall(r"<tr.*?</tr>", table[: table.index("</table>")], re.DOTALL)[1:]
    stages = Counter(re.findall(r"<bdi>(.*?)</bdi>", row)[1] for row in rows)
    assert stages == {"fine-tuning": 2, "prepare": 1, "blend": 1}


def test_the_page_of_all_work_has_the_runs_of_its_folder(page: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "work.html"
    assert main(["report", *words, "--of", "work", "--output", str(path)]) == 0
    (work,) = (Path(word.partition("=")[2]) for word in words if word.startswith("data.work="))
    text = path.read_text("utf-8")
    for folder in (*work.glob("blend-*"), *work.glob("ngram_crf-*")):
        assert f">{folder.name}<" in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--of", "all"], "--of: expected run or study or work, got 'all'"),
        (["--of", "study"], "run: python -m daguan tune"),
        (["data.corrections=none.jsonl"], "none.jsonl: expected corrections that a report exported"),
    ],
)
def test_what_there_is_no_page_of_is_named(
    page: str, words: list[str], more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["report", *words, *more]) == 2
    assert message in capsys.readouterr().err


def test_prepare_takes_corrections(
    page: str, words: list[str], contest_lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = next(n for n, line in enumerate(contest_lines) if line and parse_labelled(line).gold)
    gold = parse_labelled(contest_lines[number])
    ends = [0, *accumulate(len(token) + 1 for token in gold.tokens)]
    ranges = [[start, stop - 1] for start, stop in pairwise(ends)]
    given = {"file": "train.txt", "line": number + 1, "text": " ".join(gold.tokens), "tokens": ranges, "label": []}
    marked = tmp_path / "corrections.jsonl"
    marked.write_text(json.dumps(given) + "\n", "utf-8")
    assert main(["prepare", *words, f"data.corrections={marked}"]) == 0
    assert "training lines with other labels now: 1 (" in capsys.readouterr().err
    stages = Stages(load([*words, f"data.corrections={marked}"]))
    before, after = (Stages(load(words)).prepare.manifest(), stages.prepare.manifest())
    counts = [one["report"]["entities"]["count"] for one in (before, after)]
    assert counts[0] - counts[1] == len(gold.gold)
