"""Reports each metric of METRICS with its interval.

Span F1 compares positions and selects models (data/span_score.py). Contest F1 compares the strings of entities, as
leaderboards do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daguan.core.types import Score, Sentence
from daguan.data.bootstrap import bootstrap_interval
from daguan.data.format import read_labelled
from daguan.data.metrics import METRICS
from daguan.data.span_score import Items, check_comparable, count_items


def contest_items(sentence: Sentence) -> Items:
    """Returns what contest F1 compares, as some public solutions do: the entity's string and label, without position or
    repeats. Rank 9's code counts positions, and rank 5's also the segments outside entities."""
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
