"""Combines members by a vote on spans: each member votes for the spans that it decodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from daguan.core.types import Sentence, Span
from daguan.data.decoding import decode_lines
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import (
    ConfidentSpans,
    Learner,
    LineMask,
    MemberMarginals,
    Method,
    OutOfFoldData,
    min_confidence,
)
from daguan.ensemble.non_overlapping import best_non_overlapping

Votes = Counter[Span]  # on the spans of one line


@dataclass(frozen=True)
class Vote:
    """Selects the non-overlapping spans with the most votes beyond `needed − 1`; the first on a tie.

    Attributes:
        labels: the scheme's.
        needed: the votes that a span must have.
    """

    labels: tuple[str, ...]
    needed: int

    def spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[tuple[Span, ...]]:
        """A probability is the share of members that vote for the span."""
        elected = [(elect(votes, self.needed), votes) for votes in count_votes(marginals, TagScheme(self.labels))]
        return [
            tuple(replace(span, probability=votes[span] / len(marginals)) for span in spans) for spans, votes in elected
        ]

    def adapted_to(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> Vote:
        """Returns itself; nothing depends on the lines."""
        return self

    def confident_spans(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> ConfidentSpans:
        """A decision is whether to take a span that some member votes for. Its probability is the share of members that
        agree with the decision.
        """
        spans, shares = self.spans(sentences, marginals), self.candidates(sentences, marginals)
        return ConfidentSpans(spans, np.array([*map(min_confidence, shares, spans)], np.float64))

    def candidates(self, sentences: Sequence[Sentence], marginals: MemberMarginals) -> list[dict[Span, float]]:
        """A probability is the share of members that vote for the span."""
        votes = count_votes(marginals, TagScheme(self.labels))
        return [{span: count / len(marginals) for span, count in of_line.items()} for of_line in votes]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any], _: object) -> Vote:
        return cls(tuple(values["labels"]), values["needed"])


def count_votes(marginals: MemberMarginals, scheme: TagScheme) -> list[Votes]:
    by_member = [decode_lines(member, scheme) for member in marginals]
    return [Counter(span for spans in of_line for span in spans) for of_line in zip(*by_member, strict=True)]


def elect(votes: Votes, needed: int) -> tuple[Span, ...]:
    return best_non_overlapping({span: count - needed + 0.5 for span, count in votes.items()})


class VoteLearner(Learner):
    """Fits the number of votes that gives the best F1; on a tie, the one nearest to half the members."""

    def __init__(self, data: OutOfFoldData) -> None:
        self._labels, self._members = data.scheme.labels, len(data.marginals)
        votes = count_votes(data.marginals, data.scheme)
        gold = [set(sentence.gold) for sentence in data.gold]
        self._counts = np.zeros((self._members, len(gold), 2), np.int64)  # hits, and predicted + gold
        for needed in range(1, self._members + 1):
            elected = [elect(of_line, needed) for of_line in votes]
            pairs = zip(elected, gold, strict=True)
            self._counts[needed - 1] = [(len(its.intersection(ours)), len(ours) + len(its)) for ours, its in pairs]

    def fit(self, used: LineMask) -> Vote:
        f1 = [2 * hits / total if total else 0.0 for hits, total in self._counts[:, used].sum(1).tolist()]
        order = sorted(range(self._members), key=lambda index: abs(index + 0.5 - self._members / 2))
        return Vote(self._labels, 1 + max(order, key=lambda index: f1[index]))


VOTE = Method(VoteLearner, Vote.from_json)
