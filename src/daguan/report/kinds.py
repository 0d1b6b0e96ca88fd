"""The kinds of errors, as nervaluate's strict scheme counts them (github.com/MantisAI/nervaluate).

Its "incorrect" is divided by what differs: the type, the bounds, or both.
"""

from __future__ import annotations

from collections.abc import Sequence

from daguan.core.types import Span

CORRECT, TYPE, LONG, SHORT, SHIFTED, BOTH, SPURIOUS, MISSED = range(8)
NAMES = ("correct", "wrong type", "too long", "too short", "shifted", "wrong type and bounds", "spurious", "missed")
NO_GOLD = 255  # the kind of spans of lines without gold labels


def kinds(predicted: Sequence[Span], gold: Sequence[Span]) -> tuple[list[int], list[int]]:
    """Returns the kind of each predicted span and of each gold span of one line; the spans are in order.

    A predicted span that is not right stands for the first gold span that it overlaps and that no earlier one stands
    for; it is spurious if there is none. A gold span that no predicted one stands for is missed.
    """
    exact = {(span.start, span.stop, span.label) for span in gold}
    found, fates, first = [], [MISSED] * len(gold), 0
    for span in predicted:
        number = None
        while first < len(gold) and gold[first].stop <= span.start:
            first += 1
        for candidate in range(first, len(gold)):
            if gold[candidate].start >= span.stop:
                break
            right = gold[candidate] == span
            if right or (number is None and fates[candidate] == MISSED):
                number = candidate
            if right:
                break
        kind = SPURIOUS if number is None else kind_of(span, gold[number])
        assert (kind == CORRECT) == ((span.start, span.stop, span.label) in exact)
        found.append(kind)
        if number is not None:
            fates[number] = kind
    return found, fates


def kind_of(span: Span, gold: Span) -> int:
    """Returns the kind of a predicted span that stands for a gold one, which it overlaps."""
    same_type, same_bounds = span.label == gold.label, (span.start, span.stop) == (gold.start, gold.stop)
    if same_bounds:
        return CORRECT if same_type else TYPE
    if not same_type:
        return BOTH
    if span.start <= gold.start and gold.stop <= span.stop:
        return LONG
    return SHORT if gold.start <= span.start and span.stop <= gold.stop else SHIFTED
