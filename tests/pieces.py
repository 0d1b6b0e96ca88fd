"""Sentences from pieces: tokens with the label of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daguan.core.types import Sentence, Span


def sentence_of(pieces: Iterable[tuple[Sequence[str], str]]) -> Sentence:
    """Returns the sentence of these pieces; a piece with label `o` is no entity."""
    tokens: list[str] = []
    spans: list[Span] = []
    for piece, label in pieces:
        if label != "o":
            spans.append(Span(len(tokens), len(tokens) + len(piece), label))
        tokens.extend(piece)
    return Sentence(tuple(tokens), tuple(spans))
