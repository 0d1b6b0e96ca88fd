"""Computes span F1, which compares positions and selects models. Reported metrics are in data/scores.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from daguan.core.errors import DataError
from daguan.core.quantity import quantity
from daguan.core.types import Score, Sentence

Items = set[tuple[Any, str]]  # the entities that a metric compares in a line: (position or string, label)


def span_items(sentence: Sentence) -> Items:
    """Returns what span F1 compares: position and label."""
    return {((span.start, span.stop), span.label) for span in sentence.gold}


def count_items(predicted: Items, gold: Items) -> Score:
    return Score(len(predicted & gold), len(predicted), len(gold))


def span_score(predicted: Iterable[Sentence], gold: Iterable[Sentence]) -> Score:
    """Returns the total span counts alone, for choosing between checkpoints."""
    return sum(span_scores(predicted, gold), Score())


def span_scores(predicted: Iterable[Sentence], gold: Iterable[Sentence]) -> list[Score]:
    """Returns the span counts of each line."""
    return [count_items(span_items(p), span_items(g)) for p, g in zip(predicted, gold, strict=True)]


def check_comparable(predicted: Sequence[Sentence], gold: Sequence[Sentence], names: tuple[str, str]) -> None:
    """Raises DataError naming the first line whose tokens differ, or the numbers of lines."""
    for number, (ours, theirs) in enumerate(zip(predicted, gold, strict=False), start=1):
        if ours.tokens != theirs.tokens:
            raise DataError(f"{names[0]}:{number}: expected the tokens of {names[1]}:{number}, got others")
    if len(predicted) != len(gold):
        raise DataError(f"{names[0]}: expected {quantity(len(gold), 'line')} as in {names[1]}, got {len(predicted)}")
