"""Documents of formats that mark entities in a text by characters, and what became of the entities of a source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from daguan.formats.document import Document, Offsets, tokenise
from daguan.formats.format import Options
from daguan.formats.repairs import Marked, cuts_tokens, to_tokens, tokens_at


def marked_document(
    text: str,
    marked: Iterable[Marked] | None,
    options: Options,
    *,
    place: str,
    offsets: Offsets | None = None,
    group: str | None = None,
    source: Any = None,
) -> Document:
    """Returns the document of a text; None for `marked` means not annotated, for `offsets` the tokens of `tokenise`.

    Raises:
        DataError: as `to_tokens`.
    """
    offsets = tokenise(text, options.tokens) if offsets is None else offsets
    spans = None if marked is None else to_tokens(marked, text, offsets, options.repairs)
    tokens = tuple(text[start:stop] for start, stop in offsets)
    return Document(tokens, spans, text, offsets, group, source, place)


def followed(marked: Sequence[Marked], document: Document) -> tuple[list[Marked | None], list[Marked]]:
    """Returns what each entity that a source marks is in the document, None for one that is gone; and the new ones.

    Those of the same tokens are the same: all with the document's label, or else the first. A range of whole tokens
    stays, with white space at its ends.
    """
    assert document.text is not None
    assert document.offsets is not None
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, one in enumerate(marked):
        places[tokens_at(one.start, one.stop, document.offsets)].append(number)
    found: list[Marked | None] = [None] * len(marked)
    new = []
    for span, entity in zip(document.spans or (), document.entities(), strict=True):
        there = places[span.start, span.stop]
        same = [number for number in there if marked[number].label == span.label] or there[:1]
        for number in same:
            start, stop, _, place = marked[number]
            cut = cuts_tokens(start, stop, document.text, document.offsets)
            found[number] = Marked(*entity, place) if cut else Marked(start, stop, span.label, place)
        if not same:
            new.append(Marked(*entity, document.place))
    return found, new
