"""Collects candidate spans from the members, and computes the features by which a stack judges them.

M members, C spans, K tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.lexicon import String
from daguan.data.marginals import mean
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import MemberMarginals
from daguan.ensemble.non_overlapping import best_non_overlapping
from daguan.training.prediction import SMALLEST, decode_lines, log_probs

BIASES = (0.0, 0.75, 1.5, 3.0, 5.0)  # nats, added to all types: the spans of the mean, and those that it nearly finds
MEMBER_BIASES = (0.0, 1.5, 3.0)  # the same for the spans of a member
PAIRS = 1 << 21  # of spans of a line, compared at a time
NO_RIVAL = float(np.log(SMALLEST))  # no span has lower odds
Floats = NDArray[np.float64]
Decoded = list[list[tuple[Span, ...]]]  # by bias, the spans of each line


@dataclass(frozen=True)
class SpanCandidates:
    """Candidate spans, line by line and sorted.

    Attributes:
        spans: C spans.
        lines: (C,) their lines.
        features: (C,F) computed from the members' marginals.
        overlapping: (C,) whether another candidate overlaps it.
    """

    spans: Sequence[Span]
    lines: NDArray[np.int64]
    features: Floats
    overlapping: NDArray[np.bool_]

    @classmethod
    def of(
        cls, marginals: MemberMarginals, scheme: TagScheme, decoded: Sequence[Decoded] | None = None
    ) -> SpanCandidates:
        """Collects the spans that a member decodes with one of MEMBER_BIASES, or their mean with one of BIASES.

        decoded: `decoded_by` of each member, where it is known.

        Features: for each member and the mean, the log-odds of the least certain token; the mean's average log
        marginal; the share of members that decode the span without a bias; the log-odds of its best rival; how near
        other spans are; its length (log) and type.
        """
        of_mean = mean(marginals)
        by_member = [decoded_by(member, scheme) for member in marginals] if decoded is None else decoded
        found_by = [[set(found) for found in unbiased] for unbiased, *_ in by_member]
        others = [bias for bias in BIASES if len(marginals) > 1 or bias not in MEMBER_BIASES]  # one is its own mean
        spans, lines = _union([*chain(*by_member), *_biased(of_mean, scheme, others)])
        positions = _TokenPositions.of(spans, lines, [len(probs) for probs in of_mean], scheme)
        odds = [_odds(positions.least(member)) for member in (*marginals, of_mean)]
        where = list(zip(lines.tolist(), spans, strict=True))
        votes = np.array([sum(span in found[line] for found in found_by) for line, span in where], np.float64)
        rivals, overlapping = _best_rivals(spans, lines, odds[-1])
        lengths = np.log([span.stop - span.start for span in spans])
        types = [np.array([span.label == label for span in spans], np.float64) for label in scheme.labels]
        near = _neighbours(spans, lines, odds[-1]).T
        columns = [*odds, positions.average(of_mean), votes / len(marginals), rivals, *near, lengths, *types]
        return cls(spans, lines, np.stack(columns, 1), overlapping)

    def of_lines(self, here: NDArray[np.bool_], features: Floats) -> SpanCandidates:
        """Returns the candidates selected by `here` (C,), whole lines of them, with new features."""
        spans = [span for span, is_here in zip(self.spans, here.tolist(), strict=True) if is_here]
        return SpanCandidates(spans, self.lines[here], features[here], self.overlapping[here])

    def with_probabilities(self, probabilities: Floats) -> SpanCandidates:
        """Returns the candidates with these probabilities (C,)."""
        pairs = zip(self.spans, probabilities.tolist(), strict=True)
        return replace(self, spans=[replace(span, probability=probability) for span, probability in pairs])

    def choose(self, values: Floats, lines: int) -> list[tuple[Span, ...]]:
        """Returns for each of `lines` lines the non-overlapping spans with the highest sum of values (C,)."""
        certain: list[list[Span]] = [[] for _ in range(lines)]
        rivals: list[dict[Span, float]] = [{} for _ in range(lines)]
        for place in np.flatnonzero(values > 0).tolist():
            line, span = int(self.lines[place]), self.spans[place]
            if self.overlapping[place]:
                rivals[line][span] = float(values[place])
            else:
                certain[line].append(span)
        pairs = zip(certain, rivals, strict=True)
        return [tuple(sorted([*alone, *best_non_overlapping(some)])) if some else tuple(alone) for alone, some in pairs]

    def strings(self, sentences: Sequence[Sentence]) -> list[String]:
        """Returns the tokens of the C spans."""
        pairs = zip(self.lines.tolist(), self.spans, strict=True)
        return [sentences[line].tokens[span.start : span.stop] for line, span in pairs]

    def types(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """Returns (C,) the index of each span's label."""
        number = {label: index for index, label in enumerate(labels)}
        return np.array([number[span.label] for span in self.spans], np.int64)


def decoded_by(member: Sequence[NDArray[np.floating]], scheme: TagScheme) -> Decoded:
    """Returns the spans of each line that a member decodes with each of MEMBER_BIASES."""
    return [*_biased(member, scheme, MEMBER_BIASES)]


def _biased(
    probs: Sequence[NDArray[np.floating]], scheme: TagScheme, biases: Sequence[float]
) -> Iterator[list[tuple[Span, ...]]]:
    for bias in biases:
        yield decode_lines(probs, scheme, np.array([0, *[bias] * (len(scheme) - 1)], np.float32))


def near_spans(mean: Sequence[NDArray[np.floating]], scheme: TagScheme) -> list[set[Span]]:
    """Returns the spans of each line that a mean's marginals decode with one of BIASES."""
    return [{*chain(*of_line)} for of_line in zip(*_biased(mean, scheme, BIASES), strict=True)]


def _union(decodes: Sequence[list[tuple[Span, ...]]]) -> tuple[list[Span], NDArray[np.int64]]:
    """Returns the distinct spans of each line, and (C,) their lines."""
    by_line = [sorted({span for spans in of_line for span in spans}) for of_line in zip(*decodes, strict=True)]
    lines = np.repeat(np.arange(len(by_line)), [len(of_line) for of_line in by_line])
    return [span for of_line in by_line for span in of_line], lines


@dataclass(frozen=True)
class _TokenPositions:
    """The tokens of C spans, concatenated.

    Attributes:
        tokens: their positions among the tokens of all lines.
        tags: the tags that the spans require there.
        begins: (C,) where each span begins in `tokens`.
    """

    tokens: NDArray[np.int64]
    tags: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def of(
        cls, spans: Sequence[Span], lines: NDArray[np.int64], lengths: Sequence[int], scheme: TagScheme
    ) -> _TokenPositions:
        starts = np.cumsum([0, *lengths])[lines] + np.array([span.start for span in spans], np.int64)
        sizes = np.array([span.stop - span.start for span in spans], np.int64)
        begins = np.cumsum(sizes) - sizes
        tags = [scheme.encode(span.stop - span.start, [Span(0, span.stop - span.start, span.label)]) for span in spans]
        tokens = np.repeat(starts - begins, sizes) + np.arange(sizes.sum())
        return cls(tokens, np.concatenate([np.zeros(0, np.int64), *tags]), begins)

    def least(self, member: Sequence[NDArray[np.floating]]) -> Floats:
        """Returns (C,) the lowest log marginal of the required tags, an upper bound on that of the span."""
        return np.minimum.reduceat(self._logs(member), self.begins) if len(self.begins) else np.zeros(0)

    def average(self, member: Sequence[NDArray[np.floating]]) -> Floats:
        """Returns (C,) the mean log marginal of the required tags."""
        logs, sizes = self._logs(member), np.diff(np.append(self.begins, len(self.tokens)))
        return np.add.reduceat(logs, self.begins) / sizes if len(self.begins) else np.zeros(0)

    def _logs(self, member: Sequence[NDArray[np.floating]]) -> Floats:
        logs: Floats = log_probs(np.concatenate(list(member))[self.tokens, self.tags]).astype(np.float64)
        return logs


def _odds(logs: Floats) -> Floats:
    """Returns the log-odds of log probabilities, limited by what half precision distinguishes from certainty."""
    odds: Floats = logs - np.log1p(-np.minimum(np.exp(logs), 1 - 1e-4))
    return odds


def _best_rivals(spans: Sequence[Span], lines: NDArray[np.int64], odds: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns (C,) the best odds among overlapping spans of the line, NO_RIVAL if there are none; and (C,) whether
    there are any. The spans of a line are sorted by their start.
    """
    rivals, overlapping, of_line = np.full(len(spans), NO_RIVAL), np.zeros(len(spans), bool), lines.tolist()
    for one, span in enumerate(spans):
        other = one + 1
        while other < len(spans) and of_line[other] == of_line[one] and spans[other].start < span.stop:
            rivals[one], rivals[other] = max(rivals[one], odds[other]), max(rivals[other], odds[one])
            overlapping[one] = overlapping[other] = True
            other += 1
    return rivals, overlapping


def _neighbours(spans: Sequence[Span], lines: NDArray[np.int64], odds: Floats) -> Floats:
    """Returns (C,3) how near a probable span is: one that ends before the span; one that begins after it; either with
    the same type. So a judge knows lists of entities.

    Nearness is the highest p / (1 + tokens between), by the probabilities of `odds`; 0 without such a span.
    """
    starts, stops = (np.array([getattr(span, end) for span in spans], np.int64) for end in ("start", "stop"))
    labels, right, near = np.array([span.label for span in spans]), probability_of(odds), []
    for line in np.split(np.arange(len(spans)), np.flatnonzero(np.diff(lines)) + 1):
        size = max(1, PAIRS // max(1, len(line)))  # a line may hold tens of thousands of spans
        for here in (line[low : low + size] for low in range(0, max(1, len(line)), size)):
            gaps = starts[here][:, None] - stops[line]  # tokens from the end of another span, in columns, to a span
            after_gaps = starts[line] - stops[here][:, None]
            before, after = (
                np.where(gap >= 0, right[line] / (1 + np.maximum(gap, 0)), 0.0) for gap in (gaps, after_gaps)
            )
            alike = np.maximum(before, after) * (labels[here][:, None] == labels[line])
            near.append(np.stack([side.max(1, initial=0) for side in (before, after, alike)], 1))
    return np.concatenate(near)


def lexicon_features(counts: NDArray[np.int64], types: NDArray[np.int64]) -> Floats:
    """Returns (C,6) from the lexicon counts (C,labels+1) and the type (C,) of each span:

    whether its string is known; log counts of it as this type, as another type, and as no entity; the shares of this
    and of another type.
    """
    own = np.take_along_axis(counts, types[:, None], 1)[:, 0]
    others, anywhere = counts[:, :-1].sum(1) - own, counts[:, -1]
    times = np.log1p(np.stack([own, others, np.maximum(anywhere - own - others, 0)], 1))
    known = (own + others > 0)[:, None]
    shares = np.stack([own, others], 1) / np.maximum(anywhere, 1)[:, None]
    return np.concatenate([known, times, shares], 1)


def probability_of(odds: Floats) -> Floats:
    """Returns the probabilities of log-odds (C,)."""
    right: Floats = np.exp(-np.logaddexp(0, -odds))
    return right
