"""Documents of formats that mark entities in a text by characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from daguan.formats.document import Document, Offsets, tokenise
from daguan.formats.format import Options
from daguan.formats.repairs import Marked, to_tokens


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
