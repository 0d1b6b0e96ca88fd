"""What a budget pays for: the first rung that fits, and then as much pretraining as is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

from daguan.pipeline.budget.costs import Facts, Rates, Work, bytes_of, seconds_of

STEP = 1.1  # measured rates are rounded down to its powers, so that two plans on one machine mostly agree


@dataclass(frozen=True)
class Choice:
    """rung: its number, from 0. tokens: of pretraining. seconds: of each stage. bytes: of memory. fits: within both
    limits."""

    rung: int
    tokens: int
    seconds: dict[str, float]
    bytes: float
    fits: bool


def choose(
    works: Sequence[Work], facts: Facts, rates: Rates, limit: float, passes: float, memory: float = math.inf
) -> Choice:
    """Of rungs from rich to poor, for a limit of seconds and one of bytes. Rungs that are the same on these data, as
    under caps that are above their lines, are one, and the last of them says where it stands."""
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
    """Of the pretrainings that grow, which are all alike."""
    return max((one.tokens for one in work.pretrainings if one.grows), default=0)


def _with_tokens(work: Work, tokens: int) -> Work:
    grown = tuple(replace(one, tokens=tokens) if one.grows else one for one in work.pretrainings)
    return replace(work, pretrainings=grown)


def _grown(work: Work, left: float, rates: Rates, most: int) -> int:
    """The tokens that so many seconds more pay for, two digits of them."""
    each = sum(1 / rates.pretraining[one.name] for one in work.pretrainings if one.grows)
    if not each:
        return _tokens(work)
    return max(_tokens(work), min(most, two_digits(_tokens(work) + left / each)))


def two_digits(number: float) -> int:
    """Rounded down to two significant digits."""
    whole = Decimal(int(number))
    return int(whole.quantize(Decimal(1).scaleb(max(0, whole.adjusted() - 1)), rounding=ROUND_FLOOR))


def rounded_down(rate: float) -> float:
    """To a power of STEP, of three digits."""
    power = 1.0
    while power * STEP <= rate:
        power *= STEP
    while power > rate:
        power /= STEP
    return float(f"{power:.3g}") if power >= 1 else power
