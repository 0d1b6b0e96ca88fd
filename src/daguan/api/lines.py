"""Lines as programs have them: lists of tokens, and pairs of tokens and spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

from daguan.core.errors import DataError
from daguan.core.types import Sentence, Span

Tokens = Sequence[str]
SpanLike = Span | tuple[int, int, str]  # half-open
Annotated = tuple[Tokens, Iterable[SpanLike]]


def tokens_of(line: Tokens, place: str) -> tuple[str, ...]:
    """Returns the tokens of a line, which may have none. Raises DataError: it is no sequence of strings, or one of them
    holds half a character."""
    if isinstance(line, str) or not isinstance(line, Sequence):
        raise DataError(f"{place}: expected a list of tokens, got {line!r}")
    for token in line:
        if not isinstance(token, str):
            raise DataError(f"{place}: expected tokens that are strings, got {token!r}")
        _require_whole(token, place)
    return tuple(line)


def _require_whole(text: str, place: str) -> None:
    """Raises DataError: UTF-8 cannot hold the text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: expected whole characters, got half of one: {text[error.start]!a}") from None


def spans_of(spans: Iterable[SpanLike], place: str) -> tuple[Span, ...]:
    """Returns spans in order. Raises DataError: one is neither a Span nor (start, stop, label), or it is empty, or its
    label holds half a character."""
    found = []
    for span in spans:
        try:
            start, stop, label = (span.start, span.stop, span.label) if isinstance(span, Span) else span
            if not isinstance(label, str):
                raise TypeError("the label is no string")
            found.append(Span(index(start), index(stop), label))
        except (TypeError, ValueError) as error:
            raise DataError(f"{place}: expected a Span or (start, stop, label), got {span!r}: {error}") from None
    for one in found:
        _require_whole(one.label, place)
    return tuple(sorted(found))


def annotated(line: Annotated, place: str) -> Sentence:
    """Returns a line with spans. Raises DataError: no tokens, or spans that overlap or do not fit the tokens."""
    try:
        tokens, spans = line
    except (TypeError, ValueError):
        raise DataError(f"{place}: expected (tokens, spans), got {line!r}") from None
    try:
        return Sentence(tokens_of(tokens, place), spans_of(spans, place))
    except ValueError as error:
        raise DataError(f"{place}: {error}") from None
