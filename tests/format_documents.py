"""Documents drawn by hypothesis: any text, tokens and labels that a format takes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from daguan.core.types import Span
from daguan.formats.document import Document, tokenise

PLAIN = "aB1é_-/#,.我京\U0001f600"
BLANKS = " \n\t\r\u3000\x85"
characters = st.one_of(st.sampled_from(PLAIN + BLANKS), st.characters(exclude_categories=["Cs"]))
texts = st.text(characters, max_size=30)
words = st.text(characters, min_size=1, max_size=6)
labels = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
names = st.text("abcXYZ019", min_size=1, max_size=8)


@st.composite
def spans_over(draw: st.DrawFn, length: int, labels: st.SearchStrategy[str]) -> tuple[Span, ...]:
    """Entities over tokens, also adjacent ones."""
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    known = draw(st.lists(labels, min_size=1, max_size=2))
    return tuple(
        Span(start, stop, draw(st.sampled_from(known))) for start, stop in pairwise(cuts) if draw(st.booleans())
    )


@st.composite
def annotations(
    draw: st.DrawFn, length: int, labels: st.SearchStrategy[str], annotated: bool | None = None
) -> tuple[Span, ...] | None:
    """Entities over tokens, None at times unless `annotated` decides."""
    if annotated is False or (annotated is None and draw(st.integers(0, 4)) == 0):
        return None
    return draw(spans_over(length, labels))


@st.composite
def tokenised(
    draw: st.DrawFn, labels: st.SearchStrategy[str], own_tokens: bool = False, group: bool = False
) -> Document:
    """A document with a text; its tokens are those of `tokenise`, or `own_tokens`: any that cover its characters."""
    text = draw(texts)
    offsets = tokenise(text, "characters")
    if own_tokens:
        joined: list[tuple[int, int]] = []
        for start, stop in offsets:
            if joined and joined[-1][1] == start and draw(st.booleans()):
                joined[-1] = (joined[-1][0], stop)
            else:
                joined.append((start, stop))
        offsets = tuple(joined)
    else:
        offsets = tokenise(text)
    spans = draw(annotations(len(offsets), labels))
    tokens = tuple(text[start:stop] for start, stop in offsets)
    return Document(tokens, spans, text, offsets, draw(names) if group else None)


@st.composite
def untexted(
    draw: st.DrawFn,
    words: st.SearchStrategy[str],
    labels: st.SearchStrategy[str],
    annotated: bool | None = None,
    group: bool = False,
) -> Document:
    """A document of tokens alone."""
    tokens = tuple(draw(st.lists(words, min_size=1, max_size=6)))
    spans = draw(annotations(len(tokens), labels, annotated))
    return Document(tokens, spans, group=draw(names) if group else None)
