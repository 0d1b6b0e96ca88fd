"""The basic types: spans, sentences, scores. Impossible values cannot be built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daguan.core.quantity import quantity

Segment = tuple[tuple[str, ...], str | None]  # an entity with its label, or tokens outside with None


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """An entity: the half-open token range [start, stop) with its label.

    Attributes:
        probability: that there is this entity; 1 for a labelled one. Spans that differ in it alone are equal.

    Raises:
        ValueError: the range is empty or starts before the sentence.
    """

    start: int
    stop: int
    label: str
    probability: float = field(default=1.0, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"expected 0 <= start < stop, got [{self.start}, {self.stop})")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of a file. `spans` are sorted and do not overlap; None means not annotated.

    Raises:
        ValueError: no tokens, or spans out of range, unsorted or overlapping.
    """

    tokens: tuple[str, ...]
    spans: tuple[Span, ...] | None = None

    def __post_init__(self) -> None:
        if not self.tokens:
            raise ValueError("expected at least one token, got none")
        reached = 0
        for span in self.spans or ():
            if span.start < reached:
                raise ValueError(f"expected sorted spans without overlap, got {span} after position {reached}")
            reached = span.stop
        if reached > len(self.tokens):
            raise ValueError(f"expected spans within {quantity(len(self.tokens), 'token')}, got one up to {reached}")

    @property
    def gold(self) -> tuple[Span, ...]:
        """Returns the spans of an annotated sentence."""
        assert self.spans is not None
        return self.spans

    @property
    def segments(self) -> list[Segment]:
        """Returns the entities and the maximal outside stretches of an annotated sentence, in order."""
        segments: list[Segment] = []
        reached = 0
        for span in self.gold:
            if reached < span.start:
                segments.append((self.tokens[reached : span.start], None))
            segments.append((self.tokens[span.start : span.stop], span.label))
            reached = span.stop
        if reached < len(self.tokens):
            segments.append((self.tokens[reached:], None))
        return segments

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> Sentence:
        """Builds a sentence from segments; neighbouring outside ones are merged. Raises ValueError: there are none."""
        tokens: list[str] = []
        spans: list[Span] = []
        for segment, label in segments:
            if label is not None:
                spans.append(Span(len(tokens), len(tokens) + len(segment), label))
            tokens.extend(segment)
        return cls(tuple(tokens), tuple(spans))

    def part(self, start: int, stop: int) -> Sentence:
        """Returns tokens [start, stop) of an annotated sentence, with the spans that lie within."""
        inside = (span for span in self.gold if start <= span.start and span.stop <= stop)
        return Sentence(self.tokens[start:stop], tuple(Span(s.start - start, s.stop - start, s.label) for s in inside))


@dataclass(frozen=True, slots=True)
class Score:
    """Counts that add up over lines, folds and types; ratios are taken once, at the end. 0/0 is 0."""

    hits: int = 0
    predicted: int = 0
    gold: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.hits + other.hits, self.predicted + other.predicted, self.gold + other.gold)

    @property
    def precision(self) -> float:
        return self.hits / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.hits / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        total = self.predicted + self.gold
        return 2 * self.hits / total if total else 0.0


def labels_of(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """Returns the entity labels that occur, sorted."""
    return tuple(sorted({span.label for sentence in sentences for span in sentence.gold}))
