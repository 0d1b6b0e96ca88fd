"""A document as any format gives it: text, tokens with their places in the text, entities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any
from unicodedata import category

from daguan.core.quantity import quantity
from daguan.core.types import Span

Offsets = tuple[tuple[int, int], ...]
BREAK = re.compile(r"[\n\r\v\f\x85\u2028\u2029]")
ALONE = (
    "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana and Chinese characters: words without blanks
)
TOKENS = ("words", "characters")


@dataclass(frozen=True, slots=True)
class Document:
    """One unit of a source: a sentence of a CoNLL file, a record of a JSONL file, a file of brat, a row, a Doc.

    Attributes:
        tokens: the text of each token.
        spans: the entities, half-open over tokens, sorted and without overlap; None: not annotated.
        text: the whole text, where the source has it.
        offsets: the half-open range of characters of each token in the text; None without a text.
        group: the id of the document that this is a part of, or its own.
        source: what the source holds beside all this; a writer of the same format keeps it.
        place: where it begins, for messages.

    Raises:
        ValueError: spans or offsets out of range, out of order or overlapping, or tokens that are not in the text.
    """

    tokens: tuple[str, ...]
    spans: tuple[Span, ...] | None = None
    text: str | None = None
    offsets: Offsets | None = None
    group: str | None = None
    source: Any = field(default=None, compare=False, repr=False)
    place: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        reached = 0
        for span in self.spans or ():
            if span.start < reached or span.stop > len(self.tokens):
                raise ValueError(
                    f"expected sorted spans without overlap in {quantity(len(self.tokens), 'token')}, got {span}"
                )
            reached = span.stop
        if (self.text is None) != (self.offsets is None):
            raise ValueError("expected a text with the offsets of its tokens, got one of them alone")
        if self.text is not None and self.offsets is not None:
            if tuple(self.text[start:stop] for start, stop in self.offsets) != self.tokens:
                raise ValueError("expected offsets at which the text holds the tokens, got others")
            if any(stop > start for (_, stop), (start, _) in pairwise(self.offsets)):
                raise ValueError("expected offsets in order without overlap, got others")

    def with_spans(self, spans: Sequence[Span]) -> Document:
        return replace(self, spans=tuple(spans))

    def located(self) -> Document:
        """Returns the document with a text and offsets: without them, its tokens joined by blanks."""
        if self.text is not None:
            return self
        offsets, start = [], 0
        for token in self.tokens:
            offsets.append((start, start + len(token)))
            start += len(token) + 1
        return replace(self, text=" ".join(self.tokens), offsets=tuple(offsets))

    def entities(self) -> list[tuple[int, int, str]]:
        """Returns the entities of a document with a text: first character, character after the last, label."""
        assert self.offsets is not None
        return [(self.offsets[s.start][0], self.offsets[s.stop - 1][1], s.label) for s in self.spans or ()]

    def lines(self, whole: bool = False) -> list[tuple[int, int]]:
        """Returns the half-open ranges of tokens between line breaks of the text, which never cut an entity.

        Without a text, or `whole`, this is one range; without tokens, none.
        """
        if not self.tokens:
            return []
        if whole or self.text is None or self.offsets is None:
            return [(0, len(self.tokens))]
        inside = {place for span in self.spans or () for place in range(span.start + 1, span.stop)}
        gaps = enumerate(pairwise(self.offsets), start=1)
        cuts = [
            place
            for place, ((_, stop), (start, _)) in gaps
            if place not in inside and BREAK.search(self.text, stop, start)
        ]
        return list(pairwise([0, *cuts, len(self.tokens)]))


def tokenise(text: str, how: str = "words") -> Offsets:
    """Returns the ranges of a text's tokens, which hold all that is no white space: words, numbers, and single marks
    and Chinese or Japanese characters; or single characters alone."""
    return tuple(match.span() for match in _pattern(how).finditer(text))


@cache
def _pattern(how: str) -> re.Pattern[str]:
    if how == "characters":
        return re.compile(r"\S")
    marks = "".join(chr(code) for code in range(0x300, 0x10000) if category(chr(code)) in ("Mn", "Mc"))
    return re.compile(rf"(?![{ALONE}])[^\W_](?:(?![{ALONE}])[^\W_]|[{marks}])*|\S")


def find_tokens(tokens: Sequence[str], text: str) -> Offsets | None:
    """Returns the ranges of tokens that follow each other in the text with nothing but white space between them; None
    where they do not."""
    offsets, reached = [], 0
    for token in tokens:
        while not text.startswith(token, reached) and text[reached : reached + 1].isspace():
            reached += 1
        if not token or not text.startswith(token, reached):
            return None
        offsets.append((reached, reached + len(token)))
        reached += len(token)
    return None if text[reached:].strip() else tuple(offsets)
