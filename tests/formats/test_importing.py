"""A source becomes a contest's folder, and predictions on it come back as text: by the commands a user types."""

from __future__ import annotations

import json
import os
import random
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from daguan.cli.app import main
from daguan.core.errors import UNWRITABLE, ConfigError
from daguan.core.files import sha256_of_file
from daguan.core.types import Span
from daguan.data.contest import Contest
from daguan.data.format import read_labelled, read_unlabelled
from daguan.formats import exporting
from daguan.formats.code_book import CodeBook, escape, unescape
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.importing import anonymise, build
from daguan.formats.sources import Source
from daguan.formats.table import FORMATS, format_of
from format_documents import words

WORDS = ["Anna_Lee", "wohnt", "seit_1999", "in", "New", "York", ";", "bei", "Acme/o", ".", "北京", "O", "B-PER"]
NAMES = {"conll": "{}.conll", "jsonl": "{}.jsonl", "label-studio": "{}.json", "spacy": "{}.spacy", "contest": "{}.x"}


def documents_of(count: int, seed: int) -> list[Document]:
    """Documents of a text of several lines, with entities of labels that no contest allows."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        tokens = tuple(rng.choices(WORDS, k=rng.randint(1, 12)))
        spans, place = [], 0
        while place + 2 < len(tokens):
            spans.append(Span(place, place + rng.randint(1, 2), rng.choice(["PER", "O", "creative-work", "地点"])))
            place += rng.randint(2, 4)
        found.append(Document(tokens, tuple(spans), group=f"doc {number // 2}"))
    return found


def source_of(format: str, folder: Path, documents: list[Document], part: str) -> Path:
    path = folder / NAMES.get(format, "{}").format(part)
    format_of(format).write(path, documents, Options())
    return path


OPEN = [name for name in FORMATS if name not in ("contest", "text")]  # to any token and label


@pytest.mark.parametrize("format", OPEN)
def test_gold_labels_come_back_as_they_were(format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    documents = documents_of(30, 1)
    if format == "brat":
        documents = [one.with_spans([s for s in one.spans or () if " " not in s.label]) for one in documents]
    test = source_of(format, source, documents[:10], "test")
    source_of(format, source, documents[10:], "train")
    assert main(["import", str(source), str(folder)]) == 0
    assert f"train as {format}" in capsys.readouterr().out
    contest = Contest(folder)
    train, lines = contest.read()
    assert all(token.isdecimal() for sentence in train for token in sentence.tokens)
    assert [sentence.tokens for sentence in lines] == [one.tokens for one in read_labelled(contest.test_gold)]
    assert len(train) == len(contest.read_groups(len(train))) if contest.groups.is_file() else True
    output = tmp_path / "out" / test.name
    assert main(["export", str(contest.test_gold), str(folder), str(output)]) == 0
    assert [*format_of(format).read(output, Options())] == [*format_of(format).read(test, Options())]


def test_predictions_come_back_at_the_characters_of_the_text(tmp_path: Path) -> None:
    records = [
        {"id": 1, "text": "Ann  went\nto New York.\n\n Bob stayed", "label": [[0, 3, "PER"]], "meta": {"x": [1]}},
        {"id": 2, "text": "", "label": []},
        {"id": 3, "text": "\U0001f600 Ann", "label": [[2, 5, "PER"]]},
    ]
    source, folder, predicted = tmp_path / "notes.jsonl", tmp_path / "folder", tmp_path / "predicted.txt"
    source.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    assert main(["import", str(source), str(folder), "--test", str(source)]) == 0
    lines = (folder / "test.txt").read_text("utf-8").split("\n")
    assert lines == ["0_1", "2_3_4_5", "6_7", "8_0"]
    predicted.write_text("0/per  1/o\n2/o  3_4/per  5/o\n6/per  7/o\n8_0/o", "utf-8")
    assert main(["export", str(predicted), str(folder), str(tmp_path / "out.jsonl")]) == 0
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [record["label"] for record in found] == [[[0, 3, "PER"], [13, 21, "PER"], [25, 28, "PER"]], [], []]
    assert [record | {"label": 0} for record in found] == [record | {"label": 0} for record in records]
    predicted.write_text("0/per  1/o\n2/o  3_4/per  5/o\n6/per  7/o\n0_8/o", "utf-8")
    assert main(["export", str(predicted), str(folder), str(tmp_path / "other.jsonl")]) == 2
    assert not (tmp_path / "other.jsonl").exists()


def test_every_way_to_divide_a_source(tmp_path: Path) -> None:
    documents = documents_of(40, 2)
    source = tmp_path / "source"
    source.mkdir()
    for part, some in (("a-train", documents[:10]), ("a-dev", documents[10:16]), ("a-test", documents[16:20])):
        source_of("conll", source, some, part)
    one, text = source_of("conll", tmp_path, documents, "x"), source_of("conll", tmp_path, documents[:5], "y")

    def lines(*words: str) -> list[int]:
        folder = tmp_path / "-".join(["f", *(re.sub(r"\W", "", word) for word in words)])
        assert main(["import", *words[:1], str(folder), *words[1:]]) == 0
        files = [folder / name for name in ("train.txt", "test.txt", "corpus.txt")]
        return [len(path.read_text("utf-8").split("\n")) if path.is_file() else 0 for path in files]

    assert lines(str(source)) == [16, 4, 0]
    assert lines(str(source), "--dev", "corpus") == [10, 4, 6]
    assert lines(str(source), "--dev", "leave") == [10, 4, 0]
    assert lines(str(one), "--test", str(text), "--corpus", str(text)) == [40, 5, 5]
    assert lines(str(one), "--test-share", "0.2") == [32, 8, 0]  # documents of two sentences stay together
    assert main(["import", str(one), str(tmp_path / "none")]) == 2


def test_groups_are_the_documents_of_a_source(tmp_path: Path) -> None:
    documents = documents_of(12, 3)
    source_of("conll", tmp_path, documents[:8], "train")
    source_of("conll", tmp_path, documents[:4], "dev")  # ids count from the same number in every file
    source_of("conll", tmp_path, documents[8:], "test")
    assert main(["import", str(tmp_path), str(tmp_path / "folder")]) == 0
    groups = (tmp_path / "folder" / "groups.txt").read_text("utf-8").split("\n")
    assert groups == ["0", "0", "1", "1", "2", "2", "3", "3", "4", "4", "5", "5"]


def test_new_text_is_labelled_by_a_model_of_an_older_folder(tmp_path: Path) -> None:
    train = source_of("conll", tmp_path, documents_of(20, 4), "train")
    source_of("conll", tmp_path, documents_of(4, 5), "test")
    old, new = tmp_path / "old", tmp_path / "new"
    assert main(["import", str(tmp_path), str(old)]) == 0
    text = tmp_path / "text.jsonl"
    text.write_text(json.dumps({"text": "Neu : York New"}) + "\n", "utf-8")
    assert main(["import", str(text), str(new), "--like", str(old)]) == 0
    tokens = CodeBook.load(Contest(old)).tokens
    (line,) = read_unlabelled(new / "test.txt")
    assert line.tokens == (str(len(tokens)), str(len(tokens) + 1), tokens["York"], tokens["New"])
    assert (new / "labels.tsv").read_bytes() == (old / "labels.tsv").read_bytes()
    (new / "predicted.txt").write_text(f"{'_'.join(line.tokens[:2])}/o  {'_'.join(line.tokens[2:])}/per", "utf-8")
    assert main(["export", str(new / "predicted.txt"), str(new), str(tmp_path / "out.jsonl")]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8"))["label"] == [[6, 14, "PER"]]
    assert train.is_file()


def test_a_contest_of_another_source_is_not_replaced_and_its_own_is(tmp_path: Path) -> None:
    source_of("conll", tmp_path, documents_of(20, 4), "train")
    test = source_of("conll", tmp_path, documents_of(4, 5), "test")
    words = ["import", str(tmp_path), str(tmp_path / "folder")]
    assert main(words) == main(words) == 0
    before = sha256_of_file(tmp_path / "folder" / "train.txt")
    assert main(words) == 0
    assert sha256_of_file(tmp_path / "folder" / "train.txt") == before
    test.write_text("changed O\n", "utf-8")
    gold = str(tmp_path / "folder" / "test_gold.txt")
    assert main(["export", gold, str(tmp_path / "folder"), str(tmp_path / "x.conll")]) == 2
    (tmp_path / "folder" / "import.json").unlink()
    assert main(words) == 2


def test_a_plain_contest_is_written_in_other_formats(contest: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    assert main(["export", str(contest / "train.txt"), str(contest), str(path)]) == 0
    found = [(one.tokens, one.spans) for one in format_of("conll").read(path, Options())]
    assert found == [(one.tokens, one.spans) for one in read_labelled(contest / "train.txt")]


def test_labels_of_any_text_get_labels_of_a_contest(tmp_path: Path) -> None:
    labels = ["PER", "per", "O", "o", "", "1", "12-b", "creative work", "地点", "\t"]
    book = CodeBook()
    book.add([Document(("x",), (Span(0, 1, label),)) for label in labels])
    assert book.labels == {
        "": "label",
        "\t": "label2",
        "1": "label3",
        "12-b": "b",
        "O": "p",
        "PER": "per",
        "creative work": "creativework",
        "o": "q",
        "per": "per2",
        "地点": "label4",
    }
    book.save(Contest(tmp_path))
    assert CodeBook.load(Contest(tmp_path)) == book


def test_maps_hold_any_token(tmp_path: Path) -> None:
    from hypothesis import given
    from hypothesis import strategies as st

    @given(st.lists(words | st.text("\\tnr\t\n\ufeffu"), unique=True))
    def law(tokens: list[str]) -> None:
        assert [unescape(escape(token)) for token in tokens] == tokens
        book = CodeBook({token: str(number) for number, token in enumerate(tokens)}, {"x": "a"})
        book.save(Contest(tmp_path))
        assert CodeBook.load(Contest(tmp_path)) == book

    law()


@pytest.mark.parametrize("format", ["conll", "jsonl", "brat"])
def test_anonymised_data_hold_no_text_and_come_back_by_the_key(format: str, tmp_path: Path) -> None:
    source, folder, key = tmp_path / "source", tmp_path / "folder", tmp_path / "key.json"
    source.mkdir()
    documents = documents_of(20, 6)
    test = source_of(format, source, documents[:6], "test")
    source_of(format, source, documents[6:], "train")
    words = ["anonymise", str(source), str(folder), "--key", str(key)]
    assert main(words) == 0
    assert os.name != "posix" or stat.S_IMODE(key.stat().st_mode) == 0o600
    assert {path.name for path in folder.iterdir()} <= {"train.txt", "test.txt", "test_gold.txt", "groups.txt"}
    for sentence in read_labelled(folder / "train.txt"):
        assert all(token.isdecimal() for token in sentence.tokens)
        assert {span.label for span in sentence.gold} <= {*"abcd"}
    output = tmp_path / "out" / test.name
    assert main(["restore", str(folder / "test_gold.txt"), str(key), str(output)]) == 0
    assert format_of(format).read(output, Options()) == format_of(format).read(test, Options())
    assert main(["restore", str(folder / "train.txt"), str(key), str(tmp_path / "other")]) == 2
    assert main([*words[:2], str(tmp_path / "again"), *words[3:]]) == 0  # the same key gives the same numbers
    assert (tmp_path / "again" / "train.txt").read_bytes() == (folder / "train.txt").read_bytes()
    assert main([*words[:4], str(tmp_path / "again" / "key")]) == 2
    assert main(words) == 2  # the folder is there


def test_another_key_gives_other_numbers(tmp_path: Path) -> None:
    source_of("conll", tmp_path, documents_of(200, 7), "train")
    source_of("conll", tmp_path, documents_of(4, 8), "test")
    for name in "ab":
        assert main(["anonymise", str(tmp_path), str(tmp_path / name), "--key", str(tmp_path / f"{name}.json")]) == 0
    assert (tmp_path / "a" / "train.txt").read_bytes() != (tmp_path / "b" / "train.txt").read_bytes()


def test_a_key_must_be_named_and_a_folder_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source_of("conll", tmp_path, documents_of(8, 7), "train")
    test = source_of("conll", tmp_path, documents_of(4, 8), "test")
    assert main(["anonymise", str(tmp_path), str(tmp_path / "a")]) == 2
    assert capsys.readouterr().err == "daguan: anonymise: expected SOURCE FOLDER --key FILE\n"
    for given in (["import", str(tmp_path), str(test)], ["anonymise", str(tmp_path), str(test), "--key", "k"]):
        before = test.read_bytes()
        assert main(given) == 2
        assert f"{test}: expected a " in capsys.readouterr().err
        assert test.read_bytes() == before
    assert not Path("k").exists()


@pytest.mark.parametrize(
    "damaged",
    [
        {"version": 1},
        {"version": 1, "tokens": [], "labels": {}, "origins": {}},
        {"version": 1, "tokens": {}, "labels": 3, "origins": {}},
        {"version": 1, "tokens": {}, "labels": {}, "origins": {"x": 3}},
        {"version": 1, "tokens": {}, "labels": {}, "origins": {"x": {"source": {}}}},
        3,
    ],
)
def test_a_damaged_key_is_named(damaged: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, lines = tmp_path / "key.json", tmp_path / "lines.txt"
    key.write_text(json.dumps(damaged), "utf-8")
    lines.write_text("7/a\n", "utf-8")
    assert main(["restore", str(lines), str(key), str(tmp_path / "out")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"daguan: {key}: expected a key ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("origin", [{}, 3, {"source": {}}, {"source": 3, "sha256": {}}])
def test_a_damaged_origin_is_named(origin: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "import.json").write_text(json.dumps({"version": 1, "origin": origin}), "utf-8")
    (tmp_path / "lines.txt").write_text("7/a\n", "utf-8")
    assert main(["export", str(tmp_path / "lines.txt"), str(tmp_path), str(tmp_path / "out")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"daguan: {tmp_path / 'import.json'}: expected a whole import of version 1")


def test_a_key_in_a_loop_of_links_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, key = tmp_path / "a.conll", tmp_path / "key"
    source.write_text("EU B-ORG\n\nsays O\n", "utf-8")
    key.symlink_to(key)
    assert (
        main(["anonymise", str(source), str(tmp_path / "out"), "--key", str(key), "--test-share", "0.5"]) == UNWRITABLE
    )
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"daguan: {key}: expected to write here, got: ")
    assert not (tmp_path / "out").exists()


SENTENCES = "EU B-ORG\n\nsays O\n\nx O\n\ny O\n"


def all_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def require_refused(words: list[str], folder: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Checks that a command ends with one line, and that nothing below a folder is another after it."""
    before = all_files(folder)
    capsys.readouterr()
    assert main(words) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert message in said
    assert all_files(folder) == before


@pytest.mark.parametrize(
    "name", ["train.txt", "test.txt", "test_gold.txt", "corpus.txt", "groups.txt", "vocab.tsv", "import.json"]
)
def test_no_file_of_the_user_is_replaced_or_removed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, folder = tmp_path / "a.conll", tmp_path / "own"
    source.write_text(SENTENCES, "utf-8")
    folder.mkdir()
    (folder / name).write_text("{}", "utf-8")
    words = ["import", str(source), str(folder), "--test-share", "0.5"]
    require_refused(words, tmp_path, f"got a folder with {name} from elsewhere", capsys)


def test_a_folder_that_holds_a_part_of_its_own_source_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, folder = tmp_path / "a.conll", tmp_path / "own"
    source.write_text(SENTENCES, "utf-8")
    share = ["--test-share", "0.5"]
    require_refused(["import", str(source), str(tmp_path), *share], tmp_path, f"that holds {source}", capsys)
    assert main(["import", str(source), str(folder), *share]) == 0
    (folder / "corpus.txt").write_text("7_8", "utf-8")
    words = ["import", str(source), str(folder), "--corpus", str(folder / "corpus.txt"), *share]
    require_refused(words, tmp_path, f"that holds {folder / 'corpus.txt'}", capsys)


def test_nothing_is_written_where_the_source_is_read_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, parted, out = (tmp_path / name for name in ("whole", "parted", "out"))
    for folder in (whole, parted):
        folder.mkdir()
    (whole / "a.txt").write_text("Ann Lee", "utf-8")
    (whole / "a.ann").write_text("T1\tPER 0 3\tAnn\n", "utf-8")
    for name in ("train.conll", "test.conll"):
        (parted / name).write_text(SENTENCES, "utf-8")
    given = [str(whole), "--test", str(whole)]
    inside, named = f"expected a path outside of {whole}", f"expected a path that is no part of {parted}"
    for typed, message in (
        (["import", *given, str(whole)], inside),
        (["import", *given, str(whole / "out")], inside),
        (["anonymise", *given, str(whole / "out"), "--key", str(tmp_path / "key")], inside),
        (["anonymise", *given, str(out), "--key", str(whole / "key")], inside),
        (["import", str(parted), str(parted / "testing")], named),
        (["anonymise", str(parted), str(out), "--key", str(parted / "train.json")], named),
    ):
        require_refused(typed, tmp_path, message, capsys)
    assert not out.exists()
    assert main(["import", *given, str(out)]) == 0
    gold = str(out / "test_gold.txt")
    require_refused(["export", gold, str(out), str(whole / "out.jsonl")], tmp_path, inside, capsys)
    assert main(["export", gold, str(out), str(tmp_path / "out.jsonl")]) == 0
    assert main(["import", str(parted), str(parted / "out")]) == 0  # which is no part


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX alone")
def test_a_name_that_is_not_utf_8_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    good, bad, folder, out = (tmp_path / os.fsdecode(name) for name in (b"a.conll", b"b\xff.conll", b"br", b"out"))
    for path in (good, bad):
        path.write_text(SENTENCES, "utf-8")
    link, key = tmp_path / "link.conll", tmp_path / "key"
    link.symlink_to(bad)
    folder.mkdir()
    (folder / "a.ann").touch()
    (folder / os.fsdecode(b"\xff.txt")).write_text("Ann", "utf-8")
    its = Source(path=str(good), test_share=0.5)
    unnamed = Path(f"{out}\udcff")
    before = all_files(tmp_path)
    for act in (
        lambda: build(replace(its, path=str(bad)), out),
        lambda: build(replace(its, path=str(link)), out),
        lambda: build(replace(its, test=str(bad)), out),
        lambda: build(replace(its, test=str(folder)), out),
        lambda: build(its, unnamed),
        lambda: anonymise(replace(its, path=str(bad)), out, key),
        lambda: anonymise(its, out, unnamed),
        lambda: exporting.write([], unnamed, "conll"),
    ):
        with pytest.raises(ConfigError, match="expected a path whose whole name is UTF-8, got other bytes; rename it"):
            act()
        assert all_files(tmp_path) == before
        assert not out.exists()
