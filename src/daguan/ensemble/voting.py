"""A vote on spans: each member has one for each span of its own decode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daguan.core.types import Sentence, Span
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import Answers, Judged, Kept, OutOfFold, least_certain
from daguan.ensemble.non_overlapping import best_disjoint
from daguan.training.prediction import decode_lines

Votes = Counter[Span]  # of a line


@dataclass(frozen=True)
class Vote:
    """needed: votes that a span must have. Of spans that overlap, those with most votes over what is needed together;
    of equals, the first."""

    labels: tuple[str, ...]
    needed: int

    def spans(self, sentences: Sequence[Sentence], answers: Answers) -> list[tuple[Span, ...]]:
        return [elect(votes, self.needed) for votes in count_votes(answers, TagScheme(self.labels))]

    def judge(self, sentences: Sequence[Sentence], answers: Answers) -> Judged:
        """A decision is on each span that a member votes for, and its probability the share of members for it: of the
        votes where the span is elected, of the others where it is not."""
        votes = count_votes(answers, TagScheme(self.labels))
        spans = [elect(of_line, self.needed) for of_line in votes]
        shares = [{span: count / len(answers) for span, count in of_line.items()} for of_line in votes]
        return Judged(spans, np.array([*map(least_certain, shares, spans)], np.float64))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Vote:
        return cls(tuple(values["labels"]), values["needed"])


def count_votes(answers: Answers, scheme: TagScheme) -> list[Votes]:
    by_member = [decode_lines(member, scheme) for member in answers]
    return [Counter(span for spans in of_line for span in spans) for of_line in zip(*by_member, strict=True)]


def elect(votes: Votes, needed: int) -> tuple[Span, ...]:
    return best_disjoint({span: count - needed + 0.5 for span, count in votes.items()})


class VoteLearner:
    """As many votes are needed as give the best F1; of equally good numbers, the one nearest to half the members."""

    def __init__(self, evidence: OutOfFold) -> None:
        self._labels, self._members = evidence.scheme.labels, len(evidence.answers)
        votes = count_votes(evidence.answers, evidence.scheme)
        gold = [set(sentence.gold) for sentence in evidence.gold]
        self._counts = np.zeros((self._members, len(gold), 2), np.int64)  # hits, and predicted and gold together
        for needed in range(1, self._members + 1):
            elected = [elect(of_line, needed) for of_line in votes]
            pairs = zip(elected, gold, strict=True)
            self._counts[needed - 1] = [
                (len(theirs.intersection(ours)), len(ours) + len(theirs)) for ours, theirs in pairs
            ]

    def fit(self, kept: Kept) -> Vote:
        f1 = [2 * hits / total if total else 0.0 for hits, total in self._counts[:, kept].sum(1).tolist()]
        order = sorted(range(self._members), key=lambda index: abs(index + 0.5 - self._members / 2))
        return Vote(self._labels, 1 + max(order, key=lambda index: f1[index]))
