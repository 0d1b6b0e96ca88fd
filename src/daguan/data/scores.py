"""The two readings of the metric: strict spans, which select models, and the contest's sets of segment strings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import DataError
from daguan.core.seeds import stream
from daguan.core.types import Score, Sentence
from daguan.data.format import read_labelled

RESAMPLES = 1000
PAIRED_RESAMPLES = 5000  # a p-value of .01 is then known to ±.003
Items = set[tuple[Any, str]]  # what is compared in a line: (what, label)


def span_items(sentence: Sentence) -> Items:
    """Strict: position and label."""
    return {((span.start, span.stop), span.label) for span in sentence.gold}


def contest_items(sentence: Sentence) -> Items:
    """As every public solution counts: the text of the segment, free of position; repeats in a line collapse."""
    return {(sentence.tokens[span.start : span.stop], span.label) for span in sentence.gold}


READINGS: dict[str, Callable[[Sentence], Items]] = {"span": span_items, "contest": contest_items}


@dataclass(frozen=True)
class Report:
    """One reading of the metric over many lines: the total, each type's, and a 95 % interval of F1."""

    total: Score
    by_type: dict[str, Score]
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return _score_to_json(self.total) | {"interval": list(self.interval)}


def _score_to_json(score: Score) -> dict[str, Any]:
    return {
        "p": score.precision,
        "r": score.recall,
        "f1": score.f1,
        "hits": score.hits,
        "predicted": score.predicted,
        "gold": score.gold,
    }


def count_items(predicted: Items, gold: Items) -> Score:
    return Score(len(predicted & gold), len(predicted), len(gold))


def span_score(predicted: Iterable[Sentence], gold: Iterable[Sentence]) -> Score:
    """The strict micro score alone, without types or interval: for choosing between checkpoints."""
    return sum(span_scores(predicted, gold), Score())


def span_scores(predicted: Iterable[Sentence], gold: Iterable[Sentence]) -> list[Score]:
    """The strict counts of each line."""
    return [count_items(span_items(p), span_items(g)) for p, g in zip(predicted, gold, strict=True)]


def report(predicted: Sequence[Sentence], gold: Sequence[Sentence], reading: str) -> Report:
    """Score line against line; `reading` is "span" or "contest"."""
    items = READINGS[reading]
    lines = []
    by_type: dict[str, Score] = defaultdict(Score)
    for ours, theirs in zip(predicted, gold, strict=True):
        ours_items, theirs_items = items(ours), items(theirs)
        lines.append(count_items(ours_items, theirs_items))
        for label in {label for _, label in ours_items | theirs_items}:
            by_type[label] += count_items(_of(label, ours_items), _of(label, theirs_items))
    return Report(sum(lines, Score()), dict(sorted(by_type.items())), bootstrap_interval(lines))


def _of(label: str, items: Items) -> Items:
    return {item for item in items if item[1] == label}


def bootstrap_interval(lines: Sequence[Score], resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % percentile interval of F1 when lines are drawn with replacement. Same lines, same interval."""
    low, high = np.quantile(_f1(_resampled(_counts(lines), resamples)), (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True)
class Gain:
    """How much higher F1 is than another's on the same lines, with its 95 % interval; p_value: of its being chance."""

    f1: float
    interval: tuple[float, float]
    p_value: float

    def to_json(self) -> dict[str, Any]:
        return {"f1": self.f1, "interval": list(self.interval), "p": self.p_value}


def paired_gain(ours: Sequence[Score], theirs: Sequence[Score], resamples: int = PAIRED_RESAMPLES) -> Gain:
    """The gain of `ours` over `theirs`, line against line, by a paired bootstrap (Koehn 2004, "Statistical significance
    tests for machine translation evaluation", §3): the p-value, of one side, is the share of resamples without a gain,
    this sample counted among them (Davison & Hinkley 1997, §4.2.1)."""
    return paired_gains(ours, [theirs], resamples)[0]


def paired_gains(
    ours: Sequence[Score], others: Sequence[Sequence[Score]], resamples: int = PAIRED_RESAMPLES
) -> list[Gain]:
    """Over each of several others, all on the same resamples, which are drawn once."""
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
    """(lines, 2): hits, and predicted and gold together; whole numbers, exact in sums."""
    counts = np.array([(line.hits, line.predicted + line.gold) for line in lines], dtype=np.float64)
    return counts.reshape(-1, 2)


def _resampled(counts: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    """(resamples, C): sums of counts (lines, C) over as many lines, drawn with replacement."""
    rng, size = stream(0, "bootstrap"), len(counts)
    sums = np.zeros((resamples, counts.shape[1]))
    for row in sums if size else ():
        row[:] = np.bincount(rng.integers(0, size, size), minlength=size) @ counts
    return sums


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…,) of hits, and predicted and gold together (…, 2). 0/0 is 0."""
    hits, total = counts[..., 0], counts[..., 1]
    f1: NDArray[np.float64] = 2 * hits / np.where(total, total, 1)
    return f1


def both_readings(predicted: Sequence[Sentence], gold: Sequence[Sentence]) -> dict[str, Any]:
    """`{"span": …, "contest": …, "by_type": {"span": {label: …}, "contest": …}}`, all fractions and counts."""
    reports = {reading: report(predicted, gold, reading) for reading in READINGS}
    by_type = {
        reading: {label: _score_to_json(score) for label, score in found.by_type.items()}
        for reading, found in reports.items()
    }
    return {reading: found.to_json() for reading, found in reports.items()} | {"by_type": by_type}


def score_files(predicted: Path, gold: Path) -> dict[str, Any]:
    """`both_readings` of two labelled files. Raises DataError: unreadable, or not the same lines."""
    ours, theirs = read_labelled(predicted), read_labelled(gold)
    check_comparable(ours, theirs, (str(predicted), str(gold)))
    return both_readings(ours, theirs)


def check_comparable(predicted: Sequence[Sentence], gold: Sequence[Sentence], names: tuple[str, str]) -> None:
    """Raises DataError naming the first line whose tokens differ, or the numbers of lines."""
    for number, (ours, theirs) in enumerate(zip(predicted, gold, strict=False), start=1):
        if ours.tokens != theirs.tokens:
            raise DataError(f"{names[0]}:{number}: expected the tokens of {names[1]}:{number}, got others")
    if len(predicted) != len(gold):
        raise DataError(f"{names[0]}: expected {len(gold)} lines as in {names[1]}, got {len(predicted)}")
