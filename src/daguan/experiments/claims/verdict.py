"""The rule by which a run says whether a paper's claim holds; it was written before any run.

What counts are the differences of two sides, paired by seed. The verdict is `holds` if the 95 % t-interval of their
mean leaves out zero and the mean has the paper's sign, `against` if it leaves out zero with the other sign, and `not
seen at this size` if it contains zero or there are fewer than two seeds. Differences that are all equal have an
interval of no width. Where nothing differs, `holds` comes up by chance in 2.5 % of runs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t

HOLDS, AGAINST, NOT_SEEN = "holds", "against", "not seen at this size"
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean difference over the seeds and the ends of its 95 % interval; without ends for fewer than two seeds."""

    mean: float
    low: float | None
    high: float | None


def paired_interval(differences: Sequence[float]) -> Interval:
    """Returns the mean of differences of which each belongs to one seed, with its t-interval."""
    mean, count = statistics.fmean(differences), len(differences)
    if count < 2:
        return Interval(mean, None, None)
    half = float(t.ppf((1 + LEVEL) / 2, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


def verdict_of(interval: Interval, sign: int) -> str:
    """Returns the verdict; sign: 1 where the paper says that the difference is over zero, −1 where it is under zero."""
    if interval.low is None or interval.high is None or interval.low <= 0 <= interval.high:
        return NOT_SEEN
    return HOLDS if (interval.mean > 0) == (sign > 0) else AGAINST
