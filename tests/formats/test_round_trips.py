"""What a format writes is what it reads, and what it reads it writes."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daguan.core.errors import ConfigError, DataError
from daguan.core.types import Span
from daguan.data.format import BLANK, LIKE_SEPARATOR
from daguan.formats.document import BREAK, Document
from daguan.formats.format import Options
from daguan.formats.table import FORMATS, format_of
from daguan.formats.tags import SCHEMES
from format_documents import labels, texts, tokenised, untexted, words

FEW = settings(max_examples=25)
NAMES = {"conll": "some.conll", "jsonl": "some.jsonl", "label-studio": "some.json", "spacy": "some.spacy"}


def written_and_read(format: str, documents: list[Document], *, again: bool = True) -> list[Document]:
    """Writes documents and reads them; what is read is written again, and is the same bytes."""
    its = format_of(format)
    with tempfile.TemporaryDirectory() as folder:
        first, second = (Path(folder) / number / NAMES.get(format, "some") for number in ("1", "2"))
        its.write(first, documents, Options())
        found = its.read(first, Options())
        if again:
            its.write(second, found, Options())
            assert content(second) == content(first)
    return found


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


conll_words = words.filter(lambda word: not re.search(r"[\t\n\r]|^ *$|^\ufeff", word))
conll_labels = labels.filter(lambda label: not re.search(r"[\t\n\r]", label))


@given(
    documents=st.booleans().flatmap(
        lambda group: st.lists(untexted(conll_words, conll_labels, True, group), min_size=1, max_size=4)
    ),
    scheme=st.sampled_from([*SCHEMES]),
)
def test_conll(documents: list[Document], scheme: str) -> None:
    """Tokens and entities of any text in every scheme; a scheme is found by its letters or named."""
    format, options = format_of("conll"), Options(scheme=scheme)
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a", Path(folder) / "b"
        format.write(path, documents, options)
        found = format.read(path, options)
        format.write(again, found, Options())
        assert again.read_bytes() == path.read_bytes()
    assert found == documents


@given(st.lists(untexted(conll_words.filter(lambda word: " " not in word), labels, False), min_size=1, max_size=4))
def test_conll_without_tags(documents: list[Document]) -> None:
    assert written_and_read("conll", documents) == documents


@given(st.lists(tokenised(conll_labels, own_tokens=True), min_size=1, max_size=3))
def test_conll_keeps_a_text_of_one_line(documents: list[Document]) -> None:
    whole = [
        document.with_spans(document.spans or ())
        for document in documents
        if document.tokens and not any(re.search(r"[\t\n\r]|^\ufeff", token) for token in document.tokens)
    ]
    if whole:
        for found, document in zip(written_and_read("conll", whole), whole, strict=True):
            assert (found.tokens, found.spans) == (document.tokens, document.spans)
            assert document.text
            if not re.search(r"[\t\n\r]|^ | $", document.text):
                assert found == document


@pytest.mark.parametrize("format", ["jsonl", "label-studio", "spacy"])
def test_marked_text(format: str) -> None:
    @given(
        st.lists(tokenised(labels, own_tokens=True, group=True), max_size=4).filter(
            lambda found: format != "jsonl" or found
        )
    )
    def law(documents: list[Document]) -> None:
        if format == "spacy":  # which knows no empty text that is not annotated
            documents = [one if one.tokens else one.with_spans(()) for one in documents]
        assert written_and_read(format, documents) == documents

    law()


@given(
    st.lists(
        tokenised(labels.filter(lambda label: not re.search(r"[\s;|]", label)), group=True), min_size=1, max_size=4
    )
)
def test_brat(documents: list[Document]) -> None:
    """The names of files are the groups; brat has no tokens of its own, so they are those of the text."""
    unique = {document.group: document for document in documents}
    expected = sorted(unique.values(), key=lambda document: document.group or "")
    assert written_and_read("brat", expected) == expected


@FEW
@given(st.lists(tokenised(labels, own_tokens=True, group=True) | untexted(words, labels), min_size=1, max_size=4))
def test_datasets(documents: list[Document]) -> None:
    assert written_and_read("datasets", documents, again=False) == documents


contest_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda word: not BLANK.search(word) and "_" not in word and LIKE_SEPARATOR not in word
)


@given(
    st.booleans().flatmap(
        lambda annotated: st.lists(
            untexted(contest_words, st.sampled_from(["a", "b1", "per"]), annotated), min_size=1, max_size=4
        )
    )
)
def test_contest(documents: list[Document]) -> None:
    if documents[0].spans is None and "/" in documents[0].tokens[-1]:
        return  # which is read as a labelled line
    assert written_and_read("contest", documents) == documents


@pytest.mark.parametrize("format", ["jsonl", "label-studio", "spacy"])
def test_tokens_without_a_text_get_one(format: str) -> None:
    @FEW
    @given(st.lists(untexted(words.filter(lambda word: word.strip()), labels), min_size=1, max_size=4))
    def law(documents: list[Document]) -> None:
        found = written_and_read(format, documents, again=False)
        assert found == [document.located() for document in documents]

    law()


TEMPLATES: dict[str, Callable[[Path], object]] = {
    "conll": lambda path: path.write_text(
        "-DOCSTART- -X- O O\n\n"
        "EU  NNP\tI-NP I-ORG\nrejects VBZ I-VP  O\n\n"
        "# a comment\n#1 NN O I-MISC x\n#2 NN O I-MISC\n",
        encoding="utf-8",
    ),
    "jsonl": lambda path: path.write_text(
        '{"id": 7, "text": "EU rejects", "entities": [{"id": 3, "start_offset": 0, "end_offset": 2, "label": "ORG"}], '
        '"Comments": []}\n{"id": 8, "text": "", "meta": {"a": 1}, "entities": []}\n',
        encoding="utf-8",
    ),
    "label-studio": lambda path: path.write_text(
        json.dumps(
            [
                {
                    "id": 1,
                    "data": {"text": "\U0001f600 EU rejects", "source": "x"},
                    "annotations": [
                        {
                            "id": 5,
                            "was_cancelled": False,
                            "result": [
                                {
                                    "id": "e1",
                                    "from_name": "ner",
                                    "to_name": "t",
                                    "type": "labels",
                                    "value": {"start": 2, "end": 4, "text": "EU", "labels": ["ORG"]},
                                },
                                {"id": "x", "type": "choices", "value": {"choices": ["good"]}},
                            ],
                        }
                    ],
                    "predictions": [],
                }
            ],
            ensure_ascii=False,
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    ),
}


@pytest.mark.parametrize("format", TEMPLATES)
def test_what_a_source_holds_beside_its_labels_stays(format: str, tmp_path: Path) -> None:
    path, again, other = (tmp_path / f"{name}{NAMES[format]}" for name in "abc")
    TEMPLATES[format](path)
    documents = format_of(format).read(path, Options())
    assert sum(len(document.spans or ()) for document in documents) >= 1
    format_of(format).write(again, documents, Options())
    assert again.read_text("utf-8") == path.read_text("utf-8")
    format_of(format).write(other, [document.with_spans(()) for document in documents], Options())
    assert [d.tokens for d in format_of(format).read(other, Options())] == [d.tokens for d in documents]
    assert not any(document.spans for document in format_of(format).read(other, Options()))


HOLDING = [name for name in FORMATS if name != "text"]  # labels


@pytest.mark.parametrize("source", HOLDING)
@pytest.mark.parametrize("target", HOLDING)
def test_entities_pass_from_every_format_to_every_other(source: str, target: str, tmp_path: Path) -> None:
    documents = [
        Document(("eu", "says", "no"), (Span(0, 1, "org"),)),
        Document(("in", "new", "york"), (Span(1, 3, "loc"),)),
    ]
    first, second = tmp_path / "first", tmp_path / "second"
    format_of(source).write(first, documents, Options())
    format_of(target).write(second, format_of(source).read(first, Options()), Options())
    found = format_of(target).read(second, Options())
    assert [(document.tokens, document.spans) for document in found] == [(d.tokens, d.spans) for d in documents]


@pytest.mark.parametrize("format", ["conll", "contest"])
@pytest.mark.parametrize("token", ["a\tb", "a\nb", "\r", " "])
def test_what_a_format_cannot_hold_is_refused(format: str, token: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected tokens"):
        format_of(format).write(tmp_path / "some", [Document((token, "b"), ())], Options())
    assert not [*tmp_path.iterdir()]


@given(texts.filter(lambda text: bool(text.strip())))
def test_a_plain_text_is_read_with_the_places_of_its_tokens_and_never_written(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.txt"
        path.write_bytes(text.encode())
        (document,) = format_of("text").read(path, Options())
        assert (document.text, document.spans) == (text, None)
        assert len(document.lines()) <= len(BREAK.split(text))
        with pytest.raises(ConfigError, match="expected a format that can hold labels, got plain text"):
            format_of("text").write(path, [document], Options())
        assert path.read_bytes() == text.encode()


def test_a_text_of_white_space_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" \n", "utf-8")
    with pytest.raises(DataError, match=r"a\.txt: expected a text, got nothing"):
        format_of("text").read(tmp_path / "a.txt", Options())
