"""Collects candidate spans from the members, and computes the features by which a stack judges them.

M members, C spans, K tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.decoding import SMALLEST, Answers, decode_each, log_probs
from daguan.data.lexicon import String
from daguan.data.marginals import mean
from daguan.data.tags import B, E, I, S, TagScheme
from daguan.ensemble.combination import MemberMarginals
from daguan.ensemble.non_overlapping import best_non_overlapping

BIASES = (0.0, 0.75, 1.5, 3.0, 5.0)  # nats, added to all types: the spans of the mean, and those that it nearly finds
MEMBER_BIASES = (0.0, 1.5, 3.0)  # the same for the spans of a member
PAIRS = 1 << 18  # of spans of a line, compared at a time
NO_RIVAL = float(np.log(SMALLEST))  # no span has lower odds
Floats = NDArray[np.float64]
Bounds = NDArray[np.int64]  # (S,4) spans: line, start, stop, number of the label


@dataclass(frozen=True)
class SpanCandidates:
    """Candidate spans, line by line and sorted.

    Attributes:
        bounds: (C,4) their lines, starts, stops and types, which are numbers of labels.
        labels: of the scheme.
        features: (C,F) computed from the members' marginals.
        overlapping: (C,) whether another candidate overlaps it.
    """

    bounds: Bounds
    labels: tuple[str, ...]
    features: Floats
    overlapping: NDArray[np.bool_]

    @classmethod
    def of(
        cls, marginals: MemberMarginals, scheme: TagScheme, decoded: Sequence[Sequence[Bounds]] | None = None
    ) -> SpanCandidates:
        """Collects the spans that a member decodes with one of MEMBER_BIASES, or their mean with one of BIASES.

        decoded: `decoded_by` of each member, where it is known.

        Features: for each member and the mean, the log-odds of the least certain token; the mean's average log
        marginal; the share of members that decode the span without a bias; the log-odds of its best rival; how near
        other spans are; its length (log) and type.
        """
        of_mean = mean(marginals)
        by_member = [decoded_by(member, scheme) for member in marginals] if decoded is None else decoded
        others = [bias for bias in BIASES if len(marginals) > 1 or bias not in MEMBER_BIASES]  # one is its own mean
        bounds, votes = _union(by_member, _biased(of_mean, scheme, others))
        _, starts, stops, types = bounds.T
        positions = _TokenPositions.of(bounds, [len(probs) for probs in of_mean])
        odds = [_odds(positions.least(member)) for member in (*marginals, of_mean)]
        rivals, overlapping = _best_rivals(bounds, odds[-1])
        near = _neighbours(bounds, odds[-1]).T
        is_type = (types[:, None] == np.arange(len(scheme.labels))).T
        columns = [*odds, positions.average(of_mean), votes, rivals, *near, np.log(stops - starts), *is_type]
        return cls(bounds, scheme.labels, np.stack(columns, 1), overlapping)

    @property
    def lines(self) -> NDArray[np.int64]:
        """(C,) their lines."""
        return self.bounds[:, 0]

    @property
    def types(self) -> NDArray[np.int64]:
        """(C,) the numbers of their labels."""
        return self.bounds[:, 3]

    @cached_property
    def spans(self) -> list[Span]:
        """The C spans."""
        return [Span(start, stop, self.labels[label]) for _, start, stop, label in self.bounds.tolist()]

    def of_lines(self, here: NDArray[np.bool_], features: Floats) -> SpanCandidates:
        """Returns the candidates selected by `here` (C,), whole lines of them, with new features."""
        return SpanCandidates(self.bounds[here], self.labels, features[here], self.overlapping[here])

    def choose(self, values: Floats, probabilities: Floats, lines: int) -> list[tuple[Span, ...]]:
        """Returns for each of `lines` lines the non-overlapping spans with the highest sum of values (C,), with their
        probabilities (C,)."""
        certain: list[list[Span]] = [[] for _ in range(lines)]
        rivals: list[dict[Span, float]] = [{} for _ in range(lines)]
        taken = np.flatnonzero(values > 0)
        columns = (values[taken], probabilities[taken], self.overlapping[taken])
        for (line, start, stop, label), value, probability, overlaps in zip(
            self.bounds[taken].tolist(), *(column.tolist() for column in columns), strict=True
        ):
            span = Span(start, stop, self.labels[label], probability)
            if overlaps:
                rivals[line][span] = value
            else:
                certain[line].append(span)
        pairs = zip(certain, rivals, strict=True)
        return [tuple(sorted([*alone, *best_non_overlapping(some)])) if some else tuple(alone) for alone, some in pairs]

    def strings(self, sentences: Sequence[Sentence]) -> list[String]:
        """Returns the tokens of the C spans."""
        return [sentences[line].tokens[start:stop] for line, start, stop, _ in self.bounds.tolist()]


def decoded_by(member: Answers, scheme: TagScheme) -> list[Bounds]:
    """Returns the spans that a member decodes with each of MEMBER_BIASES."""
    return [*_biased(member, scheme, MEMBER_BIASES)]


def _biased(probs: Answers, scheme: TagScheme, biases: Sequence[float]) -> Iterator[Bounds]:
    lengths = np.array([len(line) for line in probs], np.int64)
    for tags in decode_each(probs, scheme, [_added(scheme, bias) for bias in biases]):
        yield scheme.bounds(tags, lengths)


def _added(scheme: TagScheme, bias: float) -> NDArray[np.float32]:
    return np.array([0, *[bias] * (len(scheme) - 1)], np.float32)


def near_spans(mean: Answers, scheme: TagScheme) -> list[set[Span]]:
    """Returns the spans of each line that a mean's marginals decode with one of BIASES."""
    found: list[set[Span]] = [set() for _ in mean]
    for line, start, stop, label in np.concatenate([*_biased(mean, scheme, BIASES)]).tolist():
        found[line].add(Span(start, stop, scheme.labels[label]))
    return found


def _union(by_member: Sequence[Sequence[Bounds]], of_mean: Iterator[Bounds]) -> tuple[Bounds, Floats]:
    """Returns (C,4) the distinct spans, sorted, and (C,) the share of members that decode each without a bias."""
    decodes = [*(spans for of_member in by_member for spans in of_member), *of_mean]
    every = np.concatenate(decodes)
    sizes = every.max(0, initial=0) + 1
    assert np.prod(sizes.astype(np.float64)) < 2**63
    unbiased, numbers = [_numbers(spans, sizes) for spans, *_ in by_member], np.unique(_numbers(every, sizes))
    votes = np.sum([np.isin(numbers, found) for found in unbiased], 0) / len(by_member)
    return np.stack(np.unravel_index(numbers, sizes), 1).astype(np.int64), votes


def _numbers(bounds: Bounds, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns (S,) one number for each of the spans, whose four are below `sizes` (4,)."""
    found: NDArray[np.int64] = np.ravel_multi_index(tuple(bounds.T), tuple(sizes.tolist()))
    return found


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
    def of(cls, bounds: Bounds, lengths: Sequence[int]) -> _TokenPositions:
        lines, starts, stops, types = bounds.T
        sizes = stops - starts
        begins = np.cumsum(sizes) - sizes
        firsts = np.cumsum([0, *lengths])[lines] + starts
        tokens = np.repeat(firsts - begins, sizes) + np.arange(sizes.sum())
        tags = np.full(len(tokens), I)
        tags[begins], tags[begins + sizes - 1] = B, E
        tags[begins[sizes == 1]] = S
        return cls(tokens, np.repeat(1 + 4 * types, sizes) + tags, begins)

    def least(self, member: Answers) -> Floats:
        """Returns (C,) the lowest log marginal of the required tags, an upper bound on that of the span."""
        return np.minimum.reduceat(self._logs(member), self.begins) if len(self.begins) else np.zeros(0)

    def average(self, member: Answers) -> Floats:
        """Returns (C,) the mean log marginal of the required tags."""
        logs, sizes = self._logs(member), np.diff(np.append(self.begins, len(self.tokens)))
        return np.add.reduceat(logs, self.begins) / sizes if len(self.begins) else np.zeros(0)

    def _logs(self, member: Answers) -> Floats:
        logs: Floats = log_probs(np.concatenate(list(member))[self.tokens, self.tags]).astype(np.float64)
        return logs


def _odds(logs: Floats) -> Floats:
    """Returns the log-odds of log probabilities, limited by what half precision distinguishes from certainty."""
    odds: Floats = logs - np.log1p(-np.minimum(np.exp(logs), 1 - 1e-4))
    return odds


def _best_rivals(bounds: Bounds, odds: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns (C,) the best odds among overlapping spans of the line, NO_RIVAL if there are none; and (C,) whether
    there are any. The spans of a line are sorted by their start, so those that overlap one begin right after it.
    """
    lines, starts, stops, _ = bounds.T
    rivals, overlapping = np.full(len(bounds), NO_RIVAL), np.zeros(len(bounds), bool)
    for apart in range(1, len(bounds)):
        ones = np.flatnonzero((lines[:-apart] == lines[apart:]) & (starts[apart:] < stops[:-apart]))
        if not len(ones):
            break
        for these, those in ((ones, ones + apart), (ones + apart, ones)):
            rivals[these] = np.maximum(rivals[these], odds[those])
            overlapping[these] = True
    return rivals, overlapping


def _neighbours(bounds: Bounds, odds: Floats) -> Floats:
    """Returns (C,3) how near a probable span is: one that ends before the span; one that begins after it; either with
    the same type. So a judge knows lists of entities.

    Nearness is the highest p / (1 + tokens between), by the probabilities of `odds`; 0 without such a span.
    """
    lines, starts, stops, types = bounds.T
    right, near = probability_of(odds), np.zeros((len(bounds), 3))
    _, firsts, counts = np.unique(lines, return_index=True, return_counts=True)
    order, low = np.argsort(-counts, kind="stable"), 0  # lines of similar numbers of spans together
    while low < len(order):
        most = int(counts[order[low]])
        group = order[low : low + max(1, PAIRS // most**2)]
        real = np.arange(most) < counts[group][:, None]
        places = np.where(real, firsts[group][:, None] + np.arange(most), 0)  # (lines,most)
        chances = np.where(real, right[places], 0.0)[:, None]
        size = max(1, PAIRS // (len(group) * most))  # a line may hold tens of thousands of spans
        for rows in (slice(first, first + size) for first in range(0, most, size)):
            ours = places[:, rows]
            gaps = starts[ours][:, :, None] - stops[places][:, None]  # tokens from the end of another span to a span
            after_gaps = starts[places][:, None] - stops[ours][:, :, None]
            before, after = (np.where(gap >= 0, chances / (1 + np.maximum(gap, 0)), 0.0) for gap in (gaps, after_gaps))
            alike = np.maximum(before, after) * (types[ours][:, :, None] == types[places][:, None])
            found = np.stack([side.max(2) for side in (before, after, alike)], 2)
            near[ours[real[:, rows]]] = found[real[:, rows]]
        low += len(group)
    return near


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
