"""Heads that score spans. Each makes the log-odds of every span; nn/spans.py makes tag marginals of them, which never
overlap, and so they are decoded and blended as any other head's."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, log_softmax, logsigmoid, one_hot

from daguan.data.tags import TagScheme
from daguan.models.heads.base import Head
from daguan.models.settings import ModelSettings
from daguan.nn.fused import rotate
from daguan.nn.spans import gold_spans, span_marginals, spans_within, tag_marginals

NONE = 0  # the class of what is no entity; type x is class x + 1
ROTATION_BASE = 10000.0


class SpanScoringHead(Head):
    """A head whose answer is a weight for each span."""

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        return tag_marginals(span_marginals(self.weights(scores), mask), mask)

    def scores_a_row(self, length: int) -> int:
        return length**2 * self.extra_width

    @abstractmethod
    def weights(self, scores: Tensor) -> Tensor:
        """Scores → log-odds of spans (B,T,T,X)."""


class SpanHead(SpanScoringHead):
    """For each token the type of the entity that starts there, if any, and of the one that stops there (rank 9's third
    model). The stops are told the starts: the gold ones in training, a distribution in prediction."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.classes = 1 + len(scheme.labels)
        self.extra_width = 2 * self.classes
        self.smoothing = settings.label_smoothing
        self.start = nn.Linear(width, self.classes)
        self.told = nn.Linear(width + self.classes, width)
        self.norm = nn.LayerNorm(width)
        self.stop = nn.Linear(width, self.classes)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """(B,T,2,1+X): logits of starts and of stops."""
        own = [0.0, 0.0] if extra is None else extra.chunk(2, dim=2)
        starts = self.start(features).float() + own[0]
        known = starts.softmax(2) if tags is None else one_hot(self._classes(tags)[:, :, 0], self.classes)
        told = torch.tanh(self.told(torch.cat([features, known.to(features.dtype)], dim=2)))
        stops = self.stop(self.norm(told)).float() + own[1]
        return torch.stack([starts, stops], dim=2)

    def _classes(self, tags: Tensor) -> Tensor:
        """(B,T,2): the classes of starts and stops that the tags say."""
        classes = tags.new_zeros((*tags.shape, 2))
        row, first, last, kind = gold_spans(tags, torch.ones_like(tags, dtype=torch.bool)).unbind(1)
        classes[row, first, 0] = kind + 1
        classes[row, last, 1] = kind + 1
        return classes

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        logits, classes = scores[mask].flatten(0, 1), self._classes(tags)[mask].flatten()
        return cross_entropy(logits, classes, reduction="sum", label_smoothing=self.smoothing)

    def weights(self, scores: Tensor) -> Tensor:
        odds = scores[..., 1:] - scores[..., :1]
        return odds[:, :, None, 0] + odds[:, None, :, 1]

    def beliefs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return log_softmax(scores[mask].flatten(0, 1), 1)


class BiaffineHead(SpanScoringHead):
    """A distribution over none and the types for each span, from a biaffine product of its ends (Yu et al. 2020, arXiv
    2005.07150), with boundary smoothing (Zhu & Li 2022, arXiv 2204.12031)."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.types = len(scheme.labels)
        self.extra_width = 2 * self.types
        self.smoothing, self.distance = settings.boundary_smoothing, settings.boundary_distance
        self.first, self.last = nn.Linear(width, settings.pointer_size), nn.Linear(width, settings.pointer_size)
        self.pair = nn.Linear(settings.pointer_size + 1, (1 + self.types) * (settings.pointer_size + 1), bias=False)
        nn.init.normal_(self.pair.weight, std=1 / settings.pointer_size)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """(B,T,T,1+X)."""
        first, last = (nn.functional.pad(gelu(end(features)), (0, 1), value=1.0) for end in (self.first, self.last))
        read = self.pair(first).unflatten(2, (1 + self.types, -1))  # (B,T,1+X,D)
        logits: Tensor = torch.einsum("bixd,bjd->bijx", read, last).float()
        if extra is None:
            return logits
        with_extra: Tensor = torch.cat([logits[..., :1], logits[..., 1:] + of_both_ends(extra)], dim=3)
        return with_extra

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        logs = log_softmax(scores, 3)
        fits = spans_within(mask)
        targets = smoothed_boundaries(gold_spans(tags, mask), fits, self.types, self.smoothing, self.distance)
        return -(targets * logs)[fits].sum()

    def weights(self, scores: Tensor) -> Tensor:
        return scores[..., 1:] - scores[..., :1]

    def beliefs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return log_softmax(scores[spans_within(mask)], 1)


class GlobalPointerHead(SpanScoringHead):
    """The efficient GlobalPointer (Su et al. 2022, arXiv 2208.03054 §3.3): rotated ends are compared once for all
    types, and each type adds what it thinks of either end. A span is an entity if its score is over 0."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__()
        self.types = len(scheme.labels)
        self.extra_width = 2 * self.types
        self.ends = nn.Linear(width, 2 * settings.pointer_size)
        self.kinds = nn.Linear(2 * settings.pointer_size, 2 * self.types)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """(B,T,T,X)."""
        ends = self.ends(features)
        of_kinds = self.kinds(ends).float()
        first, last = rotate(ends.unflatten(2, (2, -1)), _turns(ends)).unbind(2)
        alike: Tensor = (first @ last.mT).float() * first.shape[2] ** -0.5
        return alike.unsqueeze(3) + of_both_ends(of_kinds if extra is None else of_kinds + extra)

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        gold = torch.zeros_like(scores, dtype=torch.bool)
        gold[tuple(gold_spans(tags, mask).unbind(1))] = True
        return multilabel_loss(*(x.permute(0, 3, 1, 2).flatten(2) for x in (scores, gold, self._fits(scores, mask))))

    def _fits(self, scores: Tensor, mask: Tensor) -> Tensor:
        return spans_within(mask).unsqueeze(3).expand_as(scores)

    def weights(self, scores: Tensor) -> Tensor:
        return scores

    def beliefs(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Of each span and type, whether it is an entity."""
        logits = scores[self._fits(scores, mask)]
        return torch.stack([logsigmoid(logits), logsigmoid(-logits)], dim=1)


def of_both_ends(scores: Tensor) -> Tensor:
    """(B,T,2X), of starts and of stops → (B,T,T,X): a span has its start's and its stop's."""
    starts, stops = scores.chunk(2, dim=2)
    return starts.unsqueeze(2) + stops.unsqueeze(1)


def _turns(features: Tensor) -> Tensor:
    """(2,T,1,D/4) cosines and sines for the rotary positions of features (B,T,D), which hold two vectors."""
    half = features.shape[2] // 4
    frequencies = ROTATION_BASE ** (-torch.arange(half, device=features.device) / half)
    angles = torch.arange(features.shape[1], device=features.device).unsqueeze(1) * frequencies
    return torch.stack([angles.cos(), angles.sin()]).unsqueeze(2).to(features.dtype)


def multilabel_loss(scores: Tensor, gold: Tensor, fits: Tensor) -> Tensor:
    """Σ log(1 + Σ_{not gold} exp s) + log(1 + Σ_{gold} exp −s) over all but the last dimension (Su et al. 2022 eq. 5).

    All three (…,N): the scores, which are gold, and which count at all.
    """
    never = torch.finfo(scores.dtype).min
    zero = scores.new_zeros((*scores.shape[:-1], 1))
    wrong = torch.cat([zero, scores.masked_fill(gold | ~fits, never)], dim=-1).logsumexp(-1)
    right = torch.cat([zero, (-scores).masked_fill(~(gold & fits), never)], dim=-1).logsumexp(-1)
    return (wrong + right).sum()


def smoothed_boundaries(spans: Tensor, fits: Tensor, types: int, smoothing: float, distance: int) -> Tensor:
    """Targets (B,T,T,1+X). spans (N,4) as `gold_spans` gives them, fits (B,T,T).

    A span keeps 1 − ε; the rest goes in equal parts to the distances 1 … D (the sum of how far both ends are off), and
    of each distance in equal parts to its 4·d spans. What falls on no span stays with it. Other spans hold what they
    were given, all else is none. Where entities' neighbourhoods meet, shares that sum to more than 1 are scaled down.
    """
    targets = torch.zeros((*fits.shape, 1 + types), device=fits.device)
    row, first, last, kind = spans.unbind(1)
    kept = torch.ones(len(spans), device=fits.device)
    for down, right, share in _neighbours(distance, smoothing):
        i, j = first + down, last + right
        length = fits.shape[1]
        there = (i >= 0) & (i < length) & (j >= 0) & (j < length)
        there &= fits[row, i.clamp(0, length - 1), j.clamp(0, length - 1)]
        targets.index_put_(
            (row[there], i[there], j[there], kind[there] + 1), targets.new_tensor(share), accumulate=True
        )
        kept -= share * there
    targets.index_put_((row, first, last, kind + 1), kept, accumulate=True)
    total = targets.sum(3, keepdim=True)
    targets = targets / total.clamp(min=1)
    targets[..., NONE] = 1 - targets.sum(3)
    return targets


def _neighbours(distance: int, smoothing: float) -> list[tuple[int, int, float]]:
    """How far either end is off, and the share of the mass, of all spans at distances 1 … D."""
    if not smoothing:
        return []
    return [
        (down, right, smoothing / (distance * 4 * far))
        for far in range(1, distance + 1)
        for down in range(-far, far + 1)
        for right in sorted({far - abs(down), abs(down) - far})
    ]
