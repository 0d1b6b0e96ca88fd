"""Selects the best non-overlapping spans of a line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from daguan.core.types import Span


def best_non_overlapping(values: Mapping[Span, float]) -> tuple[Span, ...]:
    """Returns the non-overlapping spans with the highest sum of values, sorted (weighted interval scheduling).

    A span of value 0 or less is never selected; on a tie, the solution without the later span wins.
    """
    spans = sorted((span for span in values if values[span] > 0), key=lambda span: (span.stop, span.start, span.label))
    stops = [span.stop for span in spans]
    sums, before = [0.0], []  # best sums of the first n spans; number of spans that end before each start
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
