"""Each format's own library, or the best-known one, reads what is written here, and finds the same entities."""

from __future__ import annotations

from pathlib import Path

import conllu
import datasets
import pandas as pd
import pytest
import spacy
from bioc import brat
from spacy.tokens import DocBin
from spacy.training.converters import conll_ner_to_docs

from daguan.core.types import Span
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.marked_text import marked_document
from daguan.formats.repairs import Marked
from daguan.formats.table import format_of

TEXTS = {
    "one": ("Ann Lee\U0001f600  went to 北京市, New\nYork.", [(0, 7, "PER"), (18, 21, "LOC"), (23, 31, "LOC")]),
    "two": ("A-1 lost.", [(0, 3, "ORG")]),
    "three": ("nothing", []),
}
DOCUMENTS = [
    marked_document(text, [Marked(*entity, "") for entity in entities], Options(), place="", group=name)
    for name, (text, entities) in TEXTS.items()
]


def written(format: str, path: Path, documents: list[Document] = DOCUMENTS, scheme: str = "") -> Path:
    format_of(format).write(path, documents, Options(scheme=scheme))
    return path


def test_spacy_reads_its_docbin(tmp_path: Path) -> None:
    docs = [*DocBin().from_disk(written("spacy", tmp_path / "x.spacy")).get_docs(spacy.blank("xx").vocab)]
    assert [doc.text for doc in docs] == [text for text, _ in TEXTS.values()]
    found = [[(one.start_char, one.end_char, one.label_) for one in doc.ents] for doc in docs]
    assert found == [entities for _, entities in TEXTS.values()]


def test_datasets_reads_its_folder(tmp_path: Path) -> None:
    table = datasets.load_from_disk(str(written("datasets", tmp_path / "x")))
    names = table.features["ner_tags"].feature.names
    assert names == ["O", "B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER"]
    assert [tuple(row["tokens"]) for row in table] == [document.tokens for document in DOCUMENTS]
    assert [names[tag] for tag in table[1]["ner_tags"]] == ["B-ORG", "I-ORG", "I-ORG", "O", "O"]


def test_bioc_reads_brat(tmp_path: Path) -> None:
    folder = written("brat", tmp_path / "x")
    for name, (text, entities) in TEXTS.items():
        with (
            (folder / f"{name}.txt").open(encoding="utf-8") as file,
            (folder / f"{name}.ann").open(encoding="utf-8") as marked,
        ):
            document = brat.load(file, marked)
        assert document.text == text
        found = [(one.locations.begin(), one.locations.end(), one.type) for one in document.entities]
        assert found == entities


def test_conllu_reads_columns_and_comments(tmp_path: Path) -> None:
    text = written("conll", tmp_path / "x.conll").read_text("utf-8")
    sentences = conllu.parse(text, fields=["form", "tag"])
    assert [sentence.metadata["newdoc id"] for sentence in sentences] == [*TEXTS]
    assert [[token["form"] for token in sentence] for sentence in sentences] == [[*d.tokens] for d in DOCUMENTS]
    assert [token["tag"] for token in sentences[1]] == ["B-ORG", "I-ORG", "I-ORG", "O", "O"]


@pytest.mark.parametrize("scheme", ["bio", "bio2", "bilou"])
def test_spacy_converts_conll(scheme: str, tmp_path: Path) -> None:
    """spaCy reads these schemes; its own file has four columns with blanks between."""
    documents = [Document(document.tokens, document.spans) for document in DOCUMENTS]
    text = written("conll", tmp_path / "x.conll", documents, scheme).read_text("utf-8").replace("\t", " - - ")
    docs = [*conll_ner_to_docs(text, n_sents=1, no_print=True)]
    found = [(one.start, one.end, one.label_) for doc in docs for one in doc.ents]
    assert found == [(span.start, span.stop, span.label) for document in documents for span in document.spans or ()]


def test_pandas_reads_jsonl_and_spacy_finds_its_offsets(tmp_path: Path) -> None:
    table = pd.read_json(written("jsonl", tmp_path / "x.jsonl"), lines=True)
    assert [*table["text"]] == [text for text, _ in TEXTS.values()]
    for text, entities in zip(table["text"], table["label"], strict=True):
        doc = spacy.blank("xx")(text)
        assert all(doc.char_span(start, stop, label=label, alignment_mode="expand") for start, stop, label in entities)


def test_the_same_entities_in_bioes(tmp_path: Path) -> None:
    path = written(
        "conll", tmp_path / "x.conll", [Document(("a", "b", "c"), (Span(0, 2, "X"), Span(2, 3, "X")))], "bioes"
    )
    assert path.read_text("utf-8") == "a\tB-X\nb\tE-X\nc\tS-X\n\n"
