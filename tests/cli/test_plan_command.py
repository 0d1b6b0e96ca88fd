"""`plan` on submissions that stand in a folder, without any training."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from daguan.cli.app import main
from daguan.competition.public_scores import BOARD
from daguan.core.files import sha256_of_file, write_json

TEST = "1_2_3\n4_5\n6"
ANSWERS = {"one": "1_2/a  3/o\n4_5/b\n6/o", "two": "1_2/a  3/o\n4_5/o\n6/a", "three": "1_2_3/o\n4_5/b\n6/o"}
SCORES = {"one": 0.92, "two": 0.91, "three": 0.90}


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A contest and three submissions to it, and one to another."""
    contest, out = tmp_path / "contest", tmp_path / "out"
    contest.mkdir()
    (contest / "test.txt").write_text(TEST)
    (contest / "train.txt").write_text("1/a  2/o\n3/b")
    for name in ANSWERS:
        submit(out, name, sha256_of_file(contest / "test.txt"))
    submit(out, "one", "of another test file", "other-one")
    (tmp_path / "empty.yaml").touch()
    return [str(tmp_path / "empty.yaml"), f"data.dir={contest}", f"data.submissions={out}"]


def submit(out: Path, answer: str, test_sha256: str, name: str = "", **more: int) -> None:
    out.mkdir(exist_ok=True)
    path = out / f"{name or answer}.txt"
    path.write_text(ANSWERS[answer])
    score = SCORES[answer]
    about = {"contest": {"f1": score, "interval": [score - 0.01, score + 0.01]}}
    manifest = {"data_sha256": {"test.txt": test_sha256}, "submission_sha256": sha256_of_file(path)}
    write_json(path.with_suffix(".json"), manifest | more | {"final": "blend", "out_of_fold": {"blend": about}})


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["plan", *words]) == 0
    return capsys.readouterr().out


def test_without_scores_it_says_what_to_send_first(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = said([*words, "plan.submissions=1"], capsys)
    assert "other-one" not in text
    assert re.search(r"^one +send +92\.00 ±1\.00 +92\.00 +\S+–\S+ +92\.00$", text, re.M)
    assert "send: one\n" in text
    assert "recorded: nothing yet" in text
    assert "choose at the end: one of the sent submissions; none was sent yet" in text


def test_recorded_scores_move_what_is_expected(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name, score in (("one", "0.90"), ("two.txt", "0.895"), ("one", "0.91")):
        assert main(["plan", "record", name, score, *words]) == 0
    noted = capsys.readouterr().err
    assert "one scored 0.91, in place of 0.9 (" in noted
    text = said(words, capsys)
    assert re.search(r"^one +sent +92\.00 ±1\.00 +91\.00 .* two 50\.00$", text, re.M)
    assert "recorded: 2 scores, on average -1.25 from out of fold; correlation unknown" in text
    assert "send: three\n" in text
    assert "choose at the end: one and two\n" in text
    assert main(["plan", "record", "three", "0.89", *words]) == 0
    text = said(words, capsys)
    assert "send: nothing, every answer was sent\n" in text
    assert "correlation Pearson 0.96, Spearman 1.00" in text


def test_of_few_scored_lines_the_boards_are_expected_to_be_closer(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As the spread out of fold is that of few lines. A manifest that does not say had all of them scored, here two."""
    out, sha256 = Path(words[2].partition("=")[2]), sha256_of_file(Path(words[1].partition("=")[2]) / "test.txt")
    before = said(words, capsys)
    submit(out, "one", sha256, scored_lines=2)
    assert said(words, capsys) == before
    submit(out, "one", sha256, scored_lines=1)
    (old, *others), (new, *same) = (re.findall(r"(\S+)–(\S+)", text) for text in (before, said(words, capsys)))
    assert float(old[0]) < float(new[0]) < float(new[1]) < float(old[1])
    assert others == same


def test_a_csv_has_a_row_for_each_submission(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    assert main(["plan", *words, "--csv", str(path)]) == 0
    header, *rows = path.read_text("utf-8").splitlines()
    assert header.startswith("name,out_of_fold,")
    assert sorted(row.partition(",")[0] for row in rows) == ["one", "three", "two"]


def test_as_json_it_says_the_same(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "record", "one", "0.9", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"submission": "one", "score": 0.9, "before": None}
    (line,) = said([*words, "--json"], capsys).splitlines()
    found = json.loads(line)
    assert {one["name"]: one["recorded"] for one in found["submissions"]} == {"one": 0.9, "two": None, "three": None}
    assert (sorted(found["send"]), found["choose"], found["correlation"]) == (["three", "two"], ["one"], None)


def test_the_same_twice_says_the_same(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "record", "two", "0.9", *words]) == 0
    capsys.readouterr()
    assert said(words, capsys) == said(words, capsys)


def test_one_submission_is_sent_and_chosen(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out = Path(words[2].partition("=")[2])
    for name in ("two", "three"):
        (out / f"{name}.json").unlink()
    assert "send: one\n" in said(words, capsys)
    assert main(["plan", "record", "one", "0.9", *words]) == 0
    capsys.readouterr()
    assert "choose at the end: one\n" in said(words, capsys)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (["record"], "plan record: expected NAME SCORE"),
        (["record", "one"], "plan record: expected NAME SCORE"),
        (["record", "one", "93.59"], "score: expected a fraction from 0 to 1, got 93.59; 93.59 % is 0.9359"),
        (["record", "four", "0.9"], "plan record: expected a submission of one, three, two, got 'four'"),
        (["record", "other-one", "0.9"], "plan record: expected a submission of one, three, two, got 'other-one'"),
        (["recrod", "one", "0.9"], "recrod: no such preset and no such file"),
    ],
)
def test_a_mistake_gets_one_line_and_writes_nothing(
    words: list[str], mistake: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *mistake, *(words if len(mistake) > 2 else [])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"daguan: {message}")
    assert not Path(words[2].partition("=")[2], BOARD).exists()


def test_a_submission_that_was_changed_or_is_gone_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(words[2].partition("=")[2]) / "two.txt"
    path.write_text(ANSWERS["one"])
    assert main(["plan", *words]) == 2
    assert capsys.readouterr().err.startswith(f"daguan: {path}: expected the file that `submit` checked")
    path.unlink()
    assert main(["plan", *words]) == 2
    assert capsys.readouterr().err.startswith(f"daguan: {path}: expected a file")


def test_a_contest_without_submissions_says_so(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *words[:2], f"data.submissions={Path(words[0]).parent / 'nowhere'}"]) == 2
    assert "expected submissions to" in capsys.readouterr().err


def test_the_board_is_for_people_to_read(words: list[str]) -> None:
    assert main(["plan", "record", "one", "0.9359", *words]) == 0
    board = json.loads(Path(words[2].partition("=")[2], BOARD).read_text("utf-8"))
    assert board["one"]["score"] == 0.9359
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", board["one"]["recorded"])
