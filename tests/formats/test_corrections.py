"""Corrections of a report are the labels of the training lines, and of no other lines, in a contest that has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import write_contest
from daguan.core.errors import DataError
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import format_labelled, read_labelled, write_lines
from daguan.formats.corrections import FILE, Taken, build_corrected, corrected_in


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    return Contest(write_contest(tmp_path / "contest"))


def record(sentence: Sentence, line: int, file: str = "train.txt") -> dict[str, Any]:
    """What a page exports of a line."""
    ranges, reached = [], 0
    for token in sentence.tokens:
        ranges.append([reached, reached + len(token)])
        reached += len(token) + 1
    label = [[ranges[span.start][0], ranges[span.stop - 1][1], span.label] for span in sentence.spans or ()]
    return {"file": file, "line": line, "text": " ".join(sentence.tokens), "tokens": ranges, "label": label, "note": ""}


def written(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "corrections.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    return path


def relabelled(sentence: Sentence) -> Sentence:
    """Another labelling of a line."""
    return Sentence(sentence.tokens, (Span(0, 1, "a" if sentence.gold != (Span(0, 1, "a"),) else "b"),))


def test_the_lines_that_were_corrected_have_their_new_labels_and_the_others_their_old_ones(
    contest: Contest, tmp_path: Path
) -> None:
    lines = read_labelled(contest.train)
    numbers = (0, 7, len(lines) - 1)
    fixed = [relabelled(line) if number in numbers else line for number, line in enumerate(lines)]
    test = read_labelled(contest.test_gold)
    earlier = record(Sentence(lines[7].tokens, ()), 8)  # the last correction of a line counts
    records = [earlier, *(record(fixed[n], n + 1) for n in numbers), record(test[0], 1, "test.txt")]
    marked = written(tmp_path, *records)
    made = corrected_in(tmp_path / "work", contest, marked)
    assert build_corrected(made, contest, marked) == Taken(len(numbers), 1)
    assert read_labelled(made.train) == fixed
    assert made.test.read_bytes() == contest.test.read_bytes()
    assert build_corrected(made, contest, marked) is None
    write_lines(contest.train, map(format_labelled, [*lines, lines[0]]))
    assert build_corrected(made, contest, marked) == Taken(len(numbers), 1)  # the original has changed
    assert read_labelled(made.train) == [*fixed, lines[0]]


@pytest.mark.parametrize(
    "name", ["test_gold.txt", "vocab.tsv", "labels.tsv", "corpus.txt", "groups.txt", "import.json"]
)
def test_the_copy_has_exactly_the_files_of_the_contest(name: str, contest: Contest, tmp_path: Path) -> None:
    marked = written(tmp_path, record(relabelled(read_labelled(contest.train)[0]), 1))
    made = corrected_in(tmp_path / "work", contest, marked)
    build_corrected(made, contest, marked)
    for content in ("one", "another", None, "third"):
        if content is None:
            (contest.folder / name).unlink()
        else:
            (contest.folder / name).write_text(content, "utf-8")
        assert build_corrected(made, contest, marked) is not None
        assert build_corrected(made, contest, marked) is None
        ours, theirs = ({path.name: path.read_bytes() for path in one.folder.iterdir()} for one in (made, contest))
        assert ours | {"train.txt": b""} == theirs | {"train.txt": b"", FILE: ours[FILE]}


def test_a_line_counted_in_a_sample_is_found_by_its_tokens(contest: Contest, tmp_path: Path) -> None:
    lines = read_labelled(contest.train)
    tokens = [line.tokens for line in lines]
    number = next(n for n, one in enumerate(tokens) if tokens.count(one) == 1 and n != 2 and one != tokens[2])
    marked = written(tmp_path, record(relabelled(lines[number]), 3))
    made = corrected_in(tmp_path, contest, marked)
    build_corrected(made, contest, marked)
    expected = [relabelled(line) if n == number else line for n, line in enumerate(lines)]
    assert read_labelled(made.train) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "nowhere"}, ":1: expected the tokens of a training line, got 'nowhere'"),
        ({"label": [[0, 7, "z"]], "text": None}, ":1: expected a label of a, b, c, d, got 'z'"),
        ({"file": 3}, ":1: expected a correction with file, line and label, got"),
    ],
)
def test_what_cannot_be_taken_is_named(contest: Contest, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    line = read_labelled(contest.train)[0]
    given = record(line, 1) | {name: value for name, value in change.items() if value is not None}
    if given["text"] == "nowhere":
        given |= {"tokens": [[0, 7]], "label": []}
    if "label" in change:
        given["label"] = [[0, len(line.tokens[0]), "z"]]
    marked = written(tmp_path, given)
    with pytest.raises(DataError) as raised:
        build_corrected(corrected_in(tmp_path, contest, marked), contest, marked)
    assert message in str(raised.value)


def test_a_file_that_is_not_there_is_named(contest: Contest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected corrections that a report exported, got nothing at that path"):
        corrected_in(tmp_path, contest, tmp_path / "none.jsonl")
