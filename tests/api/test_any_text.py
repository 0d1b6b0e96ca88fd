"""Tokens and labels of any text: in lists, in the model's answers, and in the files that `predict` and `score` take."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import daguan
from conftest import TINY
from daguan.cli.app import main
from daguan.core.types import Sentence, Span
from daguan.data.format import read_labelled, read_unlabelled
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.table import FORMATS, format_of
from in_process import in_process

LABELS = {"a": "PER", "b": "creative-work", "c": "地点", "d": "O"}
OTHERS = {"a": "P E R", "b": "creative/work", "c": "时间", "d": "O."}  # for which the same labels of a contest stand
NAMES = {"conll": "{}.conll", "jsonl": "{}.jsonl", "label-studio": "{}.json", "spacy": "{}.spacy"}
OPEN = [name for name in FORMATS if name not in ("contest", "text")]
Line = tuple[tuple[str, ...], tuple[Span, ...]]


def word(token: str) -> str:
    return f"{token[0]} _{token[1:]}é"


def other(token: str) -> str:
    return f"\t{token}/o"


def renamed(sentences: list[Sentence], token: Callable[[str], str], labels: dict[str, str]) -> list[Line]:
    return [
        (
            tuple(map(token, sentence.tokens)),
            tuple(replace(span, label=labels[span.label]) for span in sentence.spans or ()),
        )
        for sentence in sentences
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any_text")


Fit = Callable[[Callable[[str], str], dict[str, str]], daguan.Model]


@pytest.fixture(scope="module")
def fit(contest: Path, root: Path) -> Iterator[Fit]:
    settings = dict(one.split("=", 1) for one in TINY) | {"members": "[ngram_crf]"}
    settings |= {"data.work": str(root / "work"), "data.submissions": str(root / "out")}
    (root / "empty.yaml").write_text("", "utf-8")
    train, test = read_labelled(contest / "train.txt"), read_unlabelled(contest / "test.txt")

    def fit(token: Callable[[str], str], labels: dict[str, str]) -> daguan.Model:
        lines = [tokens for tokens, _ in renamed(test, token, labels)]
        return daguan.fit(
            train=renamed(train, token, labels), test=lines, config=root / "empty.yaml", settings=settings
        )

    with in_process():
        yield fit


@pytest.fixture(scope="module")
def model(fit: Fit) -> daguan.Model:
    return fit(word, LABELS)


@pytest.fixture(scope="module")
def gold(contest: Path) -> list[Line]:
    return renamed(read_labelled(contest / "test_gold.txt"), word, LABELS)


@pytest.fixture(scope="module")
def lines(gold: list[Line]) -> list[tuple[str, ...]]:
    return [tokens for tokens, _ in gold]


def test_it_answers_with_the_users_labels(model: daguan.Model, lines: list[tuple[str, ...]], gold: list[Line]) -> None:
    assert set(model.labels) == {*LABELS.values()}
    assert model.tags == ("O", *(f"{prefix}-{label}" for label in model.labels for prefix in "BIES"))
    found = model.predict(lines)
    assert {span.label for spans in found for span in spans} <= {*LABELS.values()}
    assert daguan.score(found, gold)["span"]["f1"] > 0.3
    assert set(model.entities(lines)["label"]) <= {*LABELS.values()}
    assert set(model.calibration()["type"]) <= {"", *LABELS.values()}


def test_other_names_for_tokens_and_labels_give_the_same_but_for_these_names(
    model: daguan.Model, fit: Fit, contest: Path, lines: list[tuple[str, ...]]
) -> None:
    twin = fit(other, OTHERS)
    assert twin.path != model.path  # each knows its own names
    sentences = read_unlabelled(contest / "test.txt")
    theirs = twin.predict([tokens for tokens, _ in renamed(sentences, other, OTHERS)])
    names = {OTHERS[label]: LABELS[label] for label in LABELS}
    ours = model.predict(lines)
    assert [[replace(span, label=names[span.label]) for span in spans] for spans in theirs] == ours
    assert [[span.probability for span in spans] for spans in theirs] == [
        [s.probability for s in spans] for spans in ours
    ]
    for one, two in zip(model.marginals(lines), twin.marginals([map_all(line) for line in lines]), strict=True):
        assert np.array_equal(one, two)
    assert not any(twin.predict(lines))  # of which it knows no token


def map_all(line: tuple[str, ...]) -> list[str]:
    """Returns what `other` calls the tokens that `word` names."""
    return [other(token[0] + token[3:-1]) for token in line]


def test_the_numbers_that_stand_for_tokens_mean_nothing_to_a_user(model: daguan.Model) -> None:
    numbers = [[str(number) for number in range(low, low + 20)] for low in range(0, 60, 20)]
    unknown = [[f"unknown {number}" for number in line] for line in numbers]
    assert model.predict(numbers) == model.predict(unknown)
    for one, two in zip(model.marginals(numbers), model.marginals(unknown), strict=True):
        assert np.array_equal(one, two)


def test_it_knows_the_text_wherever_it_is_copied(
    model: daguan.Model, lines: list[tuple[str, ...]], tmp_path: Path
) -> None:
    for run in model.path.parent.iterdir():
        if run.is_dir() and not run.name.startswith("contest-"):
            shutil.copytree(run, tmp_path / "elsewhere" / run.name)
    found = model.predict(lines)
    assert daguan.load(tmp_path / "elsewhere" / model.path.name).predict(lines) == found
    member = next(path for path in sorted((tmp_path / "elsewhere").glob("ngram_crf-*")) if knows(path, lines[0][0]))
    shutil.move(member / "fold0" / "model", tmp_path / "alone")
    one = daguan.load(tmp_path / "alone")
    assert one.labels == model.labels
    assert any(one.predict(lines))


def knows(run: Path, token: str) -> bool:
    return token in json.loads((run / "fold0" / "model" / "code_book.json").read_text("utf-8"))["tokens"]


def path_of(format: str, folder: Path, name: str) -> Path:
    return folder / NAMES.get(format, "{}").format(name)


@pytest.mark.parametrize("format", OPEN)
def test_data_in_a_format_are_labelled_in_their_own_text(
    format: str, model: daguan.Model, gold: list[Line], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The labels that a source has do not matter."""
    source, bare, target = (path_of(format, tmp_path, name) for name in ("source", "bare", "target"))
    its = format_of(format)
    documents = [Document(tokens, tuple(s for s in spans if " " not in s.label)) for tokens, spans in gold]
    its.write(source, documents, Options())
    its.write(bare, [document.with_spans(()) for document in documents], Options())
    read = its.read(source, Options())
    assert main(["predict", str(model.path), str(source), str(target)]) == 0
    assert f"{len(read)} documents as {format}" in capsys.readouterr().err
    found = its.read(target, Options())
    assert [(one.tokens, one.text, one.offsets) for one in found] == [
        (one.tokens, one.text, one.offsets) for one in read
    ]
    assert [list(one.spans or ()) for one in found] == model.predict([one.tokens for one in read])
    again = path_of(format, tmp_path, "again")
    assert main(["predict", str(model.path), str(bare), str(again)]) == 0
    assert its.read(again, Options()) == found


def test_plain_text_is_answered_by_places_of_characters(
    model: daguan.Model, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "a0é.\n\n  b0 \U0001f600 q"
    (tmp_path / "note.txt").write_bytes(text.encode())
    for target in (tmp_path / "out", tmp_path / "out.json"):
        assert main(["predict", str(model.path), str(tmp_path / "note.txt"), str(target)]) == 0
    (line,) = (tmp_path / "out").read_text("utf-8").splitlines()
    assert json.loads(line) == {"text": text, "label": json.loads(line)["label"]}
    (task,) = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert task["data"]["text"] == text
    capsys.readouterr()
    assert main(["predict", str(model.path), str(tmp_path / "note.txt"), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (
        [text[start:stop] for start, stop in found["offsets"]]
        == found["tokens"]
        == ["a0é", ".", "b0", "\U0001f600", "q"]
    )


def test_standard_input_and_output_take_any_file(
    model: daguan.Model,
    gold: list[Line],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    format_of("jsonl").write(source, [Document(tokens, ()) for tokens, _ in gold], Options())
    assert main(["predict", str(model.path), str(source), str(target)]) == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source.read_bytes())))
    assert main(["predict", str(model.path), "-", "--from", "jsonl"]) == 0
    assert capsys.readouterr().out == target.read_text("utf-8")
    assert main(["predict", str(model.path), str(source), "--format", "json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for answer, spans in zip(answers, model.predict([tokens for tokens, _ in gold]), strict=True):
        assert [(s["start"], s["stop"], s["label"]) for s in answer["spans"]] == [
            (s.start, s.stop, s.label) for s in spans
        ]
        assert [s["probability"] for s in answer["spans"]] == pytest.approx([s.probability for s in spans], abs=1e-3)
        assert [answer["text"][start:stop] for start, stop in answer["offsets"]] == answer["tokens"]


def test_lines_of_the_contest_are_answered_as_such(model: daguan.Model, root: Path, tmp_path: Path) -> None:
    test = next(path for path in root.glob("work/contest-*/test.txt") if _holds(path.parent / "vocab.tsv", "w _"))
    assert main(["predict", str(model.path), str(test), str(tmp_path / "out.txt")]) == 0
    found = read_labelled(tmp_path / "out.txt")
    assert [one.tokens for one in found] == [one.tokens for one in read_unlabelled(test)]
    assert {span.label for one in found for span in one.gold} <= {"per", "creativework", "label", "p"}
    assert main(["export", str(tmp_path / "out.txt"), str(test.parent), str(tmp_path / "out.conll")]) == 0
    exported = format_of("conll").read(tmp_path / "out.conll", Options())
    assert [list(one.spans or ()) for one in exported] == model.predict([one.tokens for one in exported])


def _holds(path: Path, text: str) -> bool:
    return text in path.read_text("utf-8")


@pytest.mark.parametrize("format", ["conll", "jsonl", "brat"])
def test_files_of_a_format_are_scored(
    format: str, model: daguan.Model, gold: list[Line], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They need not be of one format, if they have the same tokens."""
    theirs, ours = path_of(format, tmp_path, "gold"), path_of(format, tmp_path, "ours")
    documents = [Document(tokens, tuple(s for s in spans if " " not in s.label)) for tokens, spans in gold]
    format_of(format).write(theirs, documents, Options())
    assert main(["predict", str(model.path), str(theirs), str(ours)]) == 0
    capsys.readouterr()
    assert main(["score", str(ours), str(theirs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["by_type"]["span"]) <= {*LABELS.values()}
    read = format_of(format).read(theirs, Options())
    pairs = [(one.tokens, one.spans or ()) for one in read]
    assert json.loads(json.dumps(daguan.score(model.predict([one.tokens for one in read]), pairs))) == found


def test_the_final_table_and_the_submission_have_the_users_labels(
    model: daguan.Model, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contest = next(
        path.parent for path in root.glob("work/contest-*/test.txt") if _holds(path.parent / "vocab.tsv", "w _")
    )
    places = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    assert main(["score", str(root / "empty.yaml"), *TINY, "members=[ngram_crf]", *places, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == str(model.path)
    submitted = json.loads(Path(found["submission"]).with_suffix(".json").read_text("utf-8"))
    assert submitted["out_of_fold"] == found["out_of_fold"]
    for scores in found["out_of_fold"].values():
        assert scores["by_type"]["span"]
        assert all(set(by_type) <= {*LABELS.values()} for by_type in scores["by_type"].values())
    assert all(set(one["by_type"]) <= {*LABELS.values()} for one in found["calibration"].values())


@pytest.mark.parametrize(
    ("name", "content", "more", "message"),
    [
        ("a.jsonl", '{"text": 7}', [], "a.jsonl:1: expected a record with 'text', got '7'"),
        ("a.txt", "Some text", ["--format", "text"], "--format: expected json or conll"),
        ("a.txt", "Some text", ["--format", "xml"], "--format: expected json or conll"),
        ("a.txt", "Some text", ["--from", "xml"], "--from: expected conll or jsonl"),
        ("a.txt", "Some text", ["--format", "brat"], "OUTPUT: expected a folder to write, as brat is one"),
        ("a.txt", "Some text", ["/nowhere/b.txt"], "/nowhere/b.txt: expected the path of a file in an existing folder"),
        ("a.txt", "", [], "a.txt: expected at least one line, got an empty file"),
        ("a.txt", "0_1\n0__1", [], "a.txt:2: expected tokens joined by single '_', got an empty token"),
        ("a.txt", "0_1", ["--format", "conll"], "--format: expected contest or json, got 'conll'"),
    ],
)
def test_a_fault_is_one_line_and_nothing_is_written(
    name: str,
    content: str,
    more: list[str],
    message: str,
    model: daguan.Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert main(["predict", str(model.path), str(tmp_path / name), *more]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == [name]
