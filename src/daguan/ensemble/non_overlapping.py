"""Spans that compete for a line: which of them to take, so that none overlap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from daguan.core.types import Span


def best_disjoint(values: Mapping[Span, float]) -> tuple[Span, ...]:
    """Of spans with their values the disjoint ones with the highest sum, sorted: weighted interval scheduling. A span
    of value 0 or less is never taken; of equal sums, the one without the span that comes later."""
    spans = sorted((span for span in values if values[span] > 0), key=lambda span: (span.stop, span.start, span.label))
    stops = [span.stop for span in spans]
    sums, before = [0.0], []  # of the best among the first so many; how many end before each starts
    for number, span in enumerate(spans):
        before.append(bisect_right(stops, span.start, 0, number))
        sums.append(max(sums[-1], sums[before[-1]] + values[span]))
    taken, number = [], len(spans)
    while number:
        if sums[number] > sums[number - 1]:
            taken.append(spans[number - 1])
            number = before[number - 1]
        else:
            number -= 1
    return tuple(reversed(taken))
