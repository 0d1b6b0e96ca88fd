"""A user's text becomes lines of a contest and comes back; unknown tokens stay unknown, whatever their text."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.api.fitting import _data
from daguan.cli.app import main
from daguan.core.errors import CheckpointError, DaguanError
from daguan.core.types import Span
from daguan.data.contest import Contest
from daguan.data.format import read_labelled
from daguan.data.vocabulary import SPECIALS
from daguan.formats.code_book import CodeBook
from daguan.formats.document import Document
from daguan.formats.translation import FILE, Translation
from format_documents import labels, words

tokens = words | st.text("0123456789?", max_size=3) | st.sampled_from(SPECIALS)


def book_of(tokens: list[str], labels: list[str]) -> CodeBook:
    book = CodeBook()
    book.add([Document(tuple(tokens), (Span(0, 1, label),)) for label in labels] or [Document(tuple(tokens), ())])
    return book


@given(st.lists(tokens, min_size=1), st.lists(tokens))
def test_a_known_token_has_its_number_and_an_unknown_one_a_token_that_no_contest_has(
    known: list[str], asked: list[str]
) -> None:
    book = book_of(known, [])
    found = Translation(book).encode(asked)
    names = {mapped: token for token, mapped in book.tokens.items()}
    for token, mapped in zip(asked, found, strict=True):
        assert names.get(mapped) == (token if token in known else None)
        assert mapped not in SPECIALS
    assert len({*found}) == len({*asked})
    assert Translation(book).unknown(asked) == sum(token not in known for token in asked)


@given(st.lists(labels, min_size=1, unique=True), st.floats(0, 1))
def test_labels_come_back_with_the_probability_of_their_spans(known: list[str], probability: float) -> None:
    translation = Translation(book_of(["x"], known))
    assert translation.book
    spans = [Span(number, number + 1, label, probability) for number, label in enumerate(known)]
    mapped = [replace(span, label=translation.book.labels[span.label]) for span in spans]
    assert [(span, span.probability) for span in translation.decode(mapped)] == [(one, probability) for one in spans]
    assert translation.labels(span.label for span in mapped) == tuple(known)
    assert translation.by_type({span.label: span.start for span in mapped}) == {one.label: one.start for one in spans}


def test_without_a_code_book_everything_is_its_own(tmp_path: Path) -> None:
    plain = Translation.load(tmp_path)
    assert plain == Translation.of(Contest(tmp_path)) == Translation()
    assert plain.encode(["a b", "_"]) == ("a b", "_")
    assert plain.decode([Span(0, 1, "PER")]) == [Span(0, 1, "PER")]
    assert plain.labels(["PER"]) == ("PER",)
    plain.save(tmp_path)
    assert not [*tmp_path.iterdir()]


@given(st.lists(tokens, unique=True, min_size=1), st.lists(labels, unique=True))
def test_what_is_saved_is_loaded(known: list[str], labels: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        translation = Translation(book_of(known, labels), {"tokens": "characters"})
        translation.save(Path(folder))
        assert Translation.load(Path(folder)) == translation


DAMAGES: list[Callable[[dict[str, object]], object]] = [
    lambda values: values.pop("tokens"),
    lambda values: values.update(labels=[1]),
    lambda values: values.update(format=99),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_code_book_is_refused(damage: Callable[[dict[str, object]], object], tmp_path: Path) -> None:
    Translation(book_of(["x"], ["PER"])).save(tmp_path)
    values = json.loads((tmp_path / FILE).read_text("utf-8"))
    damage(values)
    (tmp_path / FILE).write_text(json.dumps(values), "utf-8")
    with pytest.raises(CheckpointError, match=FILE):
        Translation.load(tmp_path)


def test_the_way_in_which_a_text_was_cut_is_kept(tmp_path: Path) -> None:
    source, folder = tmp_path / "a.jsonl", tmp_path / "folder"
    source.write_text('{"text": "Ann went", "label": [[0, 3, "PER"]]}\n', "utf-8")
    words = ["import", str(source), str(folder), "--test", str(source)]
    assert main(words) == 0
    assert Translation.of(Contest(folder)).reading == {}
    assert main([*words, "--tokens", "characters", "--whole", "--repair", "cuts"]) == 0
    assert Translation.of(Contest(folder)).reading == {"tokens": "characters", "whole": True}


def test_lists_become_the_same_contest_whatever_their_tokens_and_labels_are_called(tmp_path: Path) -> None:
    """Only the code book differs: all else is invariant under renaming, also the name of a contest that needs none."""
    train = [(["a", "b c", "a"], [(0, 2, "PER"), (2, 3, "LOC")]), (["d"], [])]
    renamed = [(["é", "", "é"], [(0, 2, "P E R"), (2, 3, "l-o-c")]), (["北 京"], [])]
    work = f"data.work={tmp_path}"
    folders = [
        Path(_data(None, lines, [[lines[0][0][1], new]], [[new]], [work]))  # type: ignore[arg-type, list-item]
        for lines, new in ((train, "x"), (renamed, "9"))
    ]
    assert folders[0] != folders[1]
    for name in ("train.txt", "test.txt", "corpus.txt"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    assert (folders[0] / "train.txt").read_text("utf-8") == "0_1/per  0/loc\n2/o"
    assert CodeBook.load(Contest(folders[1])).labels == {"P E R": "per", "l-o-c": "loc"}
    plain = Path(_data(None, [(["7", "x/y"], [(0, 1, "a1")])], [["8"]], [], [f"data.work={tmp_path}"]))
    assert {path.name for path in plain.iterdir()} == {"train.txt", "test.txt"}
    assert plain.name == "contest-00abbc316582"  # as before there were code books


def test_the_labels_of_lists_come_back_as_text(tmp_path: Path) -> None:
    work = f"data.work={tmp_path}/work"
    folder = Path(_data(None, [(["San Francisco", "a_b"], [(0, 1, "LOC")])], [["x"]], [], [work]))
    output = tmp_path / "out.conll"
    assert main(["export", str(folder / "train.txt"), str(folder), str(output)]) == 0
    assert output.read_text("utf-8") == "San Francisco\tB-LOC\na_b\tO\n\n"
    (folder / "other.txt").write_text("9/loc", "utf-8")
    assert main(["export", str(folder / "other.txt"), str(folder), str(tmp_path / "no.conll")]) == 2
    assert read_labelled(folder / "train.txt")


@pytest.mark.parametrize("given", [["\ud800"], ["a", "b\udfff"]])
def test_half_a_character_is_refused(given: list[str], tmp_path: Path) -> None:
    with pytest.raises(DaguanError, match=r"test\[0\]: expected whole characters, got half of one: '\\ud"):
        _data(None, [(["7"], [(0, 1, "a")])], [given], [], [f"data.work={tmp_path}"])
    with pytest.raises(DaguanError, match=r"train\[0\]: expected whole characters"):
        _data(None, [(["7"], [(0, 1, given[-1])])], [["7"]], [], [f"data.work={tmp_path}"])
