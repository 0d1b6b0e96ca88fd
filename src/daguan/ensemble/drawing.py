"""Draws labels of a line from the probabilities of its spans, in place of the most probable labels.

A model that is trained on drawn labels minimises, on average over the draws, the cross entropy between the teacher's
distribution of labellings and its own: it learns soft labels (Hinton et al. 2015, arXiv 1503.02531 §2), whatever its
family and its loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from daguan.core.types import Span


@dataclass(frozen=True)
class Draws:
    """How labels are drawn: by which generator, and how often those of a line."""

    rng: np.random.Generator
    count: int


def draw_spans(probabilities: Mapping[Span, float], rng: np.random.Generator) -> tuple[Span, ...]:
    """Returns non-overlapping spans, each drawn with its probability, sorted.

    The probabilities are met exactly where all spans that overlap one another exclude each other, that is, add up to 1
    at most, as the rivals for one place do. In longer chains of overlapping spans they are met nearly.
    """
    taken: list[Span] = []
    refused: list[Span] = []
    for span in sorted(probabilities, key=lambda one: (-probabilities[one], one)):
        if any(overlap(span, other) for other in taken):
            continue
        left = 1 - sum(probabilities[other] for other in refused if overlap(span, other))
        took = rng.random() * max(left, probabilities[span]) < probabilities[span]
        (taken if took else refused).append(span)
    return tuple(sorted(taken))


def overlap(one: Span, other: Span) -> bool:
    """Returns whether two spans share a token."""
    return one.start < other.stop and other.start < one.stop
