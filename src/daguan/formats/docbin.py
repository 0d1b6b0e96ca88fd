"""spaCy's DocBin files: a Doc is a document.

Tokens of white space alone are no tokens here. A Doc without entity annotation is not annotated; where there is none,
the spans of a single span group are taken. The group of a document is in `user_data`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daguan.core.errors import ConfigError, DataError
from daguan.core.files import write_atomic
from daguan.data.format import shorten
from daguan.formats.document import Document
from daguan.formats.format import Format, Options
from daguan.formats.marked_text import marked_document
from daguan.formats.repairs import Marked

GROUP = "document"


def read(path: Path, options: Options) -> list[Document]:
    tokens, vocab = _library()
    if not path.is_file():
        raise DataError(f"{path}: expected a file of spaCy's DocBin, got none")
    try:
        found = tokens.DocBin().from_disk(path)
        docs = list(found.get_docs(vocab))
    except (ValueError, KeyError, EOFError, OSError) as error:
        raise DataError(f"{path}: expected a file of spaCy's DocBin, got: {shorten(str(error), 200)}") from None
    return [_document(doc, f"{path}: doc {number}", options) for number, doc in enumerate(docs, start=1)]


def _library() -> tuple[Any, Any]:
    """Returns the module of containers, and an empty vocabulary. Raises ConfigError: no spaCy."""
    try:
        from spacy import tokens, vocab
    except ImportError:
        raise ConfigError("the format 'spacy' needs a library: pip install 'daguan[spacy]'") from None
    return tokens, vocab.Vocab()


def _document(doc: Any, place: str, options: Options) -> Document:
    group = doc.user_data.get(GROUP)
    return marked_document(
        doc.text,
        _marked(doc, place),
        options,
        place=place,
        offsets=tuple((token.idx, token.idx + len(token)) for token in doc if not token.text.isspace()),
        group=group if isinstance(group, str) else None,
        source=doc,
    )


def _marked(doc: Any, place: str) -> list[Marked] | None:
    spans = doc.ents
    if not doc.has_annotation("ENT_IOB"):
        if len(doc.spans) != 1:
            return None
        (spans,) = doc.spans.values()
    return [Marked(span.start_char, span.end_char, span.label_, place) for span in spans]


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    tokens, vocab = _library()
    docs = [_doc(document, vocab, tokens) for document in documents]
    content = tokens.DocBin(docs=docs, store_user_data=True).to_bytes()
    write_atomic(path, lambda temporary: temporary.write_bytes(content))


def _doc(document: Document, vocab: Any, tokens: Any) -> Any:
    located = document.located()
    doc = document.source.copy() if isinstance(document.source, tokens.Doc) else _new(located, vocab, tokens)
    if document.spans is not None:
        entities = [doc.char_span(start, stop, label=label) for start, stop, label in located.entities()]
        doc.set_ents(entities)
    if document.group is not None:
        doc.user_data[GROUP] = document.group
    return doc


def _new(document: Document, vocab: Any, tokens: Any) -> Any:
    """Returns a Doc with the text and the tokens of a document; white space that is no single blank after a token is a
    token of its own."""
    assert document.text is not None
    assert document.offsets is not None
    words: list[str] = []
    spaces: list[bool] = []
    reached = 0
    for start, stop in (*document.offsets, (len(document.text), len(document.text))):
        gap = document.text[reached:start]
        if gap and words and gap[0] == " ":
            spaces[-1], gap = True, gap[1:]
        words += filter(None, (gap, document.text[start:stop]))
        spaces += [False] * (len(words) - len(spaces))
        reached = stop
    return tokens.Doc(vocab, words=words, spaces=spaces)


FORMAT = Format(read, write)
