"""Hashes of tokens, and of what stands at the places of templates, as 64-bit numbers.

Hashes need no dictionary, and arrays of them replace strings. That two of a million features share a hash has a
probability of 3e-8. N tokens of all lines, M places of the padded lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

GAP = 3  # places before, between and after lines: no template and no string of four tokens reaches farther
EDGE = np.uint64(0)  # what stands there
ONE, MULTIPLIER, SHIFT = np.uint64(1), np.uint64(0x9E3779B97F4A7C15), np.uint64(31)
MIXERS = (np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))  # odd
Numbers = NDArray[np.uint64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PaddedLines:
    """Lines side by side, with gaps.

    Attributes:
        values: (M,) hashes of the tokens, EDGE in the gaps.
        places: (N,) where the tokens stand.
        lengths: (lines,) tokens of each line.
    """

    values: Numbers
    places: Ints
    lengths: Ints

    @classmethod
    def of(cls, lines: Sequence[Sequence[str]]) -> PaddedLines:
        lengths = np.array([len(line) for line in lines], np.int64)
        count = int(lengths.sum())
        places = np.arange(count) + GAP * (1 + np.repeat(np.arange(len(lines)), lengths))
        values = np.full(count + GAP * (len(lines) + 1), EDGE)
        values[places] = hashes(chain.from_iterable(lines))
        return cls(values, places, lengths)


def hashes(tokens: object) -> Numbers:
    """Returns (N,) a hash of each token, the same in every process."""
    return np.fromiter(map(_hash, tokens), np.uint64)  # type: ignore[call-overload]


@cache
def _hash(token: str) -> int:
    return int.from_bytes(blake2b(token.encode(), digest_size=8).digest(), "little")


def combined(number: int, values: Sequence[Numbers]) -> Numbers:
    """Returns (N,) one hash of a number and of values (N,) in their order."""
    found = np.full(len(values[0]), np.uint64(number + 1))
    for value in values:
        found = found * MULTIPLIER + value + ONE
        for mixer in MIXERS:  # SplitMix64's step: one to one, and every bit spreads
            found = (found ^ (found >> SHIFT)) * mixer
        found ^= found >> SHIFT
    return found


def at_templates(values: Numbers, places: Ints, templates: Sequence[Sequence[int]], first: int) -> list[Numbers]:
    """Returns for each template the hashes (N,) of the values at its places; `first` is the first template's number."""
    return [
        combined(number, [values[places + offset] for offset in template])
        for number, template in enumerate(templates, start=first)
    ]
