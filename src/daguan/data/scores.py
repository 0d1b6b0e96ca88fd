"""Computes the two metrics with their intervals.

Span F1 compares positions and selects models. Contest F1 compares the strings of entities, as leaderboards do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import DataError
from daguan.core.seeds import stream
from daguan.core.types import Score, Sentence
from daguan.data.format import read_labelled
from daguan.data.metrics import METRICS

RESAMPLES = 1000
PAIRED_RESAMPLES = 5000  # so that a p-value of .01 is known to ±.003
Items = set[tuple[Any, str]]  # the entities that a metric compares in a line: (position or string, label)


def span_items(sentence: Sentence) -> Items:
    """Returns what span F1 compares: position and label."""
    return {((span.start, span.stop), span.label) for span in sentence.gold}


def contest_items(sentence: Sentence) -> Items:
    """Returns what contest F1 compares, as public solutions do: the entity's string and label, without position or
    repeats."""
    return {(sentence.tokens[span.start : span.stop], span.label) for span in sentence.gold}


@dataclass(frozen=True)
class Report:
    """The scores of many lines under one metric.

    Attributes:
        total: over all lines.
        by_type: for each entity type.
        interval: the 95 % interval of F1.
    """

    total: Score
    by_type: dict[str, Score]
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return _score_to_json(self.total) | {"interval": list(self.interval)}


def _score_to_json(score: Score) -> dict[str, Any]:
    return {"p": score.precision, "r": score.recall, "f1": score.f1, **asdict(score)}


def count_items(predicted: Items, gold: Items) -> Score:
    return Score(len(predicted & gold), len(predicted), len(gold))


def span_score(predicted: Iterable[Sentence], gold: Iterable[Sentence]) -> Score:
    """Returns the total span counts alone, for choosing between checkpoints."""
    return sum(span_scores(predicted, gold), Score())


def span_scores(predicted: Iterable[Sentence], gold: Iterable[Sentence]) -> list[Score]:
    """Returns the span counts of each line."""
    return [count_items(span_items(p), span_items(g)) for p, g in zip(predicted, gold, strict=True)]


def report(predicted: Sequence[Sentence], gold: Sequence[Sentence], metric: str) -> Report:
    """Scores each predicted line against its gold line; `metric` is a key of METRICS."""
    items: Callable[[Sentence], Items] = METRICS[metric].load()
    lines = []
    by_type: dict[str, Score] = defaultdict(Score)
    for ours, theirs in zip(predicted, gold, strict=True):
        ours_items, theirs_items = items(ours), items(theirs)
        lines.append(count_items(ours_items, theirs_items))
        for label in {label for _, label in ours_items | theirs_items}:
            by_type[label] += count_items(_of(label, ours_items), _of(label, theirs_items))
    return Report(sum(lines, Score()), dict(sorted(by_type.items())), bootstrap_interval(lines))


def _of(label: str, items: Items) -> Items:
    """Returns the items with that label."""
    return {item for item in items if item[1] == label}


def bootstrap_interval(lines: Sequence[Score], resamples: int = RESAMPLES) -> tuple[float, float]:
    """Returns the 95 % percentile interval of F1 over lines drawn with replacement; the draw is always the same."""
    low, high = np.quantile(_f1(_resampled(_counts(lines), resamples)), (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True)
class Gain:
    """The difference of two F1 on the same lines.

    Attributes:
        f1: the difference.
        interval: its 95 % interval.
        p_value: the probability of such a difference by chance.
    """

    f1: float
    interval: tuple[float, float]
    p_value: float

    def to_json(self) -> dict[str, Any]:
        return {"f1": self.f1, "interval": list(self.interval), "p": self.p_value}


def paired_gain(ours: Sequence[Score], theirs: Sequence[Score], resamples: int = PAIRED_RESAMPLES) -> Gain:
    """Returns the gain of `ours` over `theirs` by a paired bootstrap over lines.

    The method is that of Koehn 2004, "Statistical significance tests for machine translation evaluation", §3. The
    one-sided p-value is the share of resamples without a gain, with the sample itself counted (Davison & Hinkley 1997,
    §4.2.1).
    """
    return paired_gains(ours, [theirs], resamples)[0]


def paired_gains(
    ours: Sequence[Score], others: Sequence[Sequence[Score]], resamples: int = PAIRED_RESAMPLES
) -> list[Gain]:
    """Returns the gain over each of several others, all on the same resamples."""
    counts = np.concatenate([_counts(lines) for lines in (ours, *others)], axis=1)
    whole = _f1(counts.sum(0).reshape(-1, 2))
    sampled = _f1(_resampled(counts, resamples).reshape(resamples, -1, 2))
    gains = sampled[:, :1] - sampled[:, 1:]
    lows, highs = np.quantile(gains, (0.025, 0.975), axis=0)
    p_values = (1 + (gains <= 0).sum(0)) / (1 + resamples)
    return [
        Gain(float(whole[0] - f1), (float(low), float(high)), float(p_value))
        for f1, low, high, p_value in zip(whole[1:], lows, highs, p_values, strict=True)
    ]


def _counts(lines: Sequence[Score]) -> NDArray[np.float64]:
    """Returns (lines,2): hits, and predicted + gold. Whole numbers, so that sums are exact."""
    counts = np.array([(line.hits, line.predicted + line.gold) for line in lines], dtype=np.float64)
    return counts.reshape(-1, 2)


def _resampled(counts: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    """Returns (resamples,C): sums of counts (lines,C) over as many lines, drawn with replacement."""
    rng, size = stream(0, "bootstrap"), len(counts)
    sums = np.zeros((resamples, counts.shape[1]))
    for row in sums if size else ():
        row[:] = np.bincount(rng.integers(0, size, size), minlength=size) @ counts
    return sums


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (…,) F1 of counts (…,2): hits, and predicted + gold. 0/0 is 0."""
    hits, total = counts[..., 0], counts[..., 1]
    f1: NDArray[np.float64] = 2 * hits / np.where(total, total, 1)
    return f1


def all_metrics(predicted: Sequence[Sentence], gold: Sequence[Sentence]) -> dict[str, Any]:
    """Returns `{"span": …, "contest": …, "by_type": {"span": {label: …}, "contest": …}}`: fractions and counts."""
    reports = {metric: report(predicted, gold, metric) for metric in METRICS}
    by_type = {
        metric: {label: _score_to_json(score) for label, score in found.by_type.items()}
        for metric, found in reports.items()
    }
    return {metric: found.to_json() for metric, found in reports.items()} | {"by_type": by_type}


def score_files(predicted: Path, gold: Path) -> dict[str, Any]:
    """Returns `all_metrics` of two labelled files. Raises DataError: unreadable, or different lines."""
    ours, theirs = read_labelled(predicted), read_labelled(gold)
    check_comparable(ours, theirs, (str(predicted), str(gold)))
    return all_metrics(ours, theirs)


def check_comparable(predicted: Sequence[Sentence], gold: Sequence[Sentence], names: tuple[str, str]) -> None:
    """Raises DataError naming the first line whose tokens differ, or the numbers of lines."""
    for number, (ours, theirs) in enumerate(zip(predicted, gold, strict=False), start=1):
        if ours.tokens != theirs.tokens:
            raise DataError(f"{names[0]}:{number}: expected the tokens of {names[1]}:{number}, got others")
    if len(predicted) != len(gold):
        raise DataError(f"{names[0]}: expected {len(gold)} lines as in {names[1]}, got {len(predicted)}")
