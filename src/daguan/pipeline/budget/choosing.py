"""Chooses what a budget pays for: the first rung that fits, then pretraining for the remaining time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

from daguan.pipeline.budget.costs import Facts, Rates, Work, bytes_of, seconds_of

STEP = 1.1  # rates are rounded down to its powers, so that two plans on one machine mostly agree


@dataclass(frozen=True)
class Choice:
    """A chosen rung.

    Attributes:
        rung: its number, from 0.
        tokens: tokens of pretraining.
        seconds: seconds of each stage.
        bytes: bytes of memory.
        fits: it is within both limits.
    """

    rung: int
    tokens: int
    seconds: dict[str, float]
    bytes: float
    fits: bool


def choose(
    works: Sequence[Work], facts: Facts, rates: Rates, limit: float, passes: float, memory: float = math.inf
) -> Choice:
    """Chooses among rungs from rich to poor, for a limit of seconds and one of bytes.

    Rungs that are the same on these data, such as under limits above its number of lines, are one, at the place of the
    last of them.
    """
    most = max(1, int(passes * facts.text_tokens))
    here = [replace(work, lines=work.lines if work.lines < facts.train_lines else 0) for work in works]
    for rung, work in enumerate(here):
        least = _with_tokens(work, min(_tokens(work), most))
        left, size = limit - sum(seconds_of(least, facts, rates).values()), bytes_of(work, facts)
        fits = left >= 0 and size <= memory
        if rung == len(here) - 1 or (fits and work not in here[rung + 1 :]):
            tokens = _grown(least, max(0.0, left), rates, most)
            return Choice(rung, tokens, seconds_of(_with_tokens(work, tokens), facts, rates), size, fits)
    raise AssertionError("no rungs")


def _tokens(work: Work) -> int:
    """Returns the tokens of the pretrainings that grow, which all have the same number."""
    return max((one.tokens for one in work.pretrainings if one.grows), default=0)


def _with_tokens(work: Work, tokens: int) -> Work:
    grown = tuple(replace(one, tokens=tokens) if one.grows else one for one in work.pretrainings)
    return replace(work, pretrainings=grown)


def _grown(work: Work, left: float, rates: Rates, most: int) -> int:
    """Returns the tokens that the additional seconds pay for, to two digits."""
    each = sum(1 / rates.pretraining[one.name] for one in work.pretrainings if one.grows)
    if not each:
        return _tokens(work)
    return max(_tokens(work), min(most, two_digits(_tokens(work) + left / each)))


def two_digits(number: float) -> int:
    """Returns the number rounded down to two significant digits."""
    whole = Decimal(int(number))
    return int(whole.quantize(Decimal(1).scaleb(max(0, whole.adjusted() - 1)), rounding=ROUND_FLOOR))


def rounded_down(rate: float) -> float:
    """Returns the rate rounded down to a power of STEP, to three digits."""
    power = 1.0
    while power * STEP <= rate:
        power *= STEP
    while power > rate:
        power /= STEP
    return float(f"{power:.3g}") if power >= 1 else power
