"""A pointer network that emits spans one after another, in reading order: where the next one starts, or that there is
none; where it stops; its type.

Vinyals et al. 2015 (arXiv 1506.03134) point; the decoder that emits a start, a stop and a type at each step is that of
Nayak & Ng 2020 (arXiv 1911.09886 §3.2), but pointing to the right of the last span alone, so that spans never overlap
and every set of them has one order. B sentences of up to T tokens, D units, X types, N readers of a sentence: the steps
of a sequence that is known, or the hypotheses of a beam.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, pad, softplus

from daguan.nn.pointer_attention import FORBIDDEN, PointerAttention

NO_MORE = 0  # the place in pointers to starts that says so; place 1 + t is token t
FEW_STARTS = -3.0  # where starts begin to learn: a twentieth of the tokens
STEPS = 4  # steps come in multiples, so that few shapes occur


class Reading(NamedTuple):
    """What the decoder has read of the tokens. mask (B,T); keys of starts (B,1+T,D) and of stops (B,T,D); what a start
    and a stop tell of their span (B,T,D); the places' own scores of starts (B,1,1+T) and of stops (B,1,T), in reading
    order; what either end says of the types (B,T,X); the first state (B,D)."""

    mask: Tensor
    start_keys: Tensor
    stop_keys: Tensor
    begins: Tensor
    ends: Tensor
    own_starts: Tensor
    own_stops: Tensor
    types_of_start: Tensor
    types_of_stop: Tensor
    state: Tensor


class Emitted(NamedTuple):
    """Spans by row, in reading order: first, last, type (B,E), 0 where there is none; their number (B,)."""

    first: Tensor
    last: Tensor
    kind: Tensor
    number: Tensor


class SpanDecoder(nn.Module):
    """A GRU whose inputs are the spans emitted, and two pointers.

    To what attention says of a place, each pointer adds what the place says of itself, in reading order: see
    `in_reading_order`. extra_width: own scores of starts, of stops, of the start's types and of the stop's, 2+2X.
    """

    def __init__(self, width: int, size: int, types: int) -> None:
        super().__init__()
        self.size, self.types, self.extra_width = size, types, 2 + 2 * types
        self.start = PointerAttention(size, width, size)
        self.stop = PointerAttention(2 * size, width, size)
        self.tell = nn.Linear(width, 3 * size)
        self.own = nn.Linear(width, self.extra_width)
        nn.init.zeros_(self.own.bias)
        nn.init.constant_(self.own.bias[:1], FEW_STARTS)
        self.no_more = nn.Parameter(torch.zeros(size))
        self.begin = nn.Parameter(torch.zeros(size))
        self.gru = nn.GRU(size, size, batch_first=True)
        self.kind = nn.Linear(2 * size, types)
        self.kinds = nn.Embedding(types, size)

    def read(self, features: Tensor, extra: Tensor | None) -> Tensor:
        """features (B,T,width), extra (B,T,2+2X) → (B,T,5D+2+2X), all that is read of each token by itself."""
        own = self.own(features) if extra is None else self.own(features) + extra
        return torch.cat([self.start.of_keys(features), self.stop.of_keys(features), self.tell(features), own], dim=2)

    def open(self, read: Tensor, mask: Tensor) -> Reading:
        """read (B,T,5D+2+2X), mask (B,T)."""
        start_keys, stop_keys, begins, ends, gist, own = torch.split(read, [self.size] * 5 + [self.extra_width], 2)
        starts, stops, of_start, of_stop = torch.split(own, [1, 1, self.types, self.types], 2)
        inside = mask.unsqueeze(2)
        state = torch.tanh((gist * inside).sum(1) / inside.sum(1))
        start_keys = torch.cat([self.no_more.expand(len(read), 1, -1), start_keys], dim=1)
        own_starts = in_reading_order(starts.squeeze(2), mask).unsqueeze(1)
        own_stops = in_reading_order(stops.squeeze(2), mask)[:, 1:].unsqueeze(1)
        return Reading(mask, start_keys, stop_keys, begins, ends, own_starts, own_stops, of_start, of_stop, state)

    def first_inputs(self, rows: int) -> Tensor:
        """(B,1,D): what stands before the first span."""
        return self.begin.expand(rows, 1, -1)

    def follow(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Inputs of so many steps (B,N,D) and the state before them (B,D) → the states after each (B,N,D)."""
        states: Tensor = self.gru(inputs, state.unsqueeze(0).contiguous())[0]
        return states

    def starts(self, reading: Reading, states: Tensor, since: Tensor) -> Tensor:
        """log P(start) (B,N,1+T) from the places since (B,N) on, states (B,N,D). Without types there is none."""
        allowed = from_place(reading.mask, since) & (self.types > 0)
        scores = self.start.point(states, reading.start_keys, pad(allowed, (1, 0), value=True))
        return log_softmax(scores + reading.own_starts, dim=2)

    def stops(self, reading: Reading, states: Tensor, first: Tensor) -> Tensor:
        """log P(stop) (B,N,T) of spans that start at first (B,N); the stop is the last token."""
        told = torch.cat([states, at(reading.begins, first)], dim=2)
        scores = self.stop.point(told, reading.stop_keys, from_place(reading.mask, first))
        return log_softmax(scores + reading.own_stops, dim=2)

    def types_of(self, reading: Reading, states: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """log P(type) (B,N,X) of spans from first to last (B,N)."""
        told = self.kind(torch.cat([states, self._ends(reading, first, last)], dim=2))
        return log_softmax(told + at(reading.types_of_start, first) + at(reading.types_of_stop, last), dim=2)

    def spans(self, reading: Reading, first: Tensor, last: Tensor, kind: Tensor) -> Tensor:
        """The inputs (B,N,D) that spans are for the step after them."""
        inputs: Tensor = self._ends(reading, first, last) + self.kinds(kind)
        return inputs

    def _ends(self, reading: Reading, first: Tensor, last: Tensor) -> Tensor:
        return torch.tanh(at(reading.begins, first) + at(reading.ends, last))

    def choices(self, reading: Reading, gold: Emitted) -> list[tuple[Tensor, Tensor]]:
        """Of starts, stops and types: the distributions that emit these spans (N,C), as logarithms, and what is to be
        chosen (N,). All steps at once, as each is told the spans before it."""
        told = self.spans(reading, gold.first, gold.last, gold.kind)
        states = self.follow(torch.cat([self.first_inputs(len(told)), told], dim=1), reading.state)
        steps = torch.arange(states.shape[1], device=states.device)
        real, begun = steps[:-1] < gold.number.unsqueeze(1), steps <= gold.number.unsqueeze(1)
        starts = self.starts(reading, states, pad(gold.last + 1, (1, 0)))
        stops = self.stops(reading, states[:, :-1], gold.first)
        types = self.types_of(reading, states[:, :-1], gold.first, gold.last)
        next_start = pad((gold.first + 1).where(real, NO_MORE), (0, 1), value=NO_MORE)
        return [
            (starts[begun], next_start[begun]),
            (stops[real], gold.last[real]),
            (types[real], gold.kind[real]),
        ]


def in_reading_order(scores: Tensor, mask: Tensor) -> Tensor:
    """log P that a place is the first one to be taken, or none is, if each is taken with probability σ(score).

    scores (B,T), mask (B,T) → (B,1+T), none first: −Σ softplus over all, and s − Σ softplus up to the place. Given
    that none before some place is taken, all after it are less by the same constant, which a softmax does not see: so
    this serves whatever the place to start from.
    """
    passed = softplus(scores).masked_fill(~mask, 0).cumsum(1)
    return torch.cat([-passed[:, -1:], scores - passed], dim=1)


def from_place(mask: Tensor, since: Tensor) -> Tensor:
    """mask (B,T), since (B,N) → (B,N,T): the tokens from there on."""
    return mask.unsqueeze(1) & (torch.arange(mask.shape[1], device=mask.device) >= since.unsqueeze(2))


def at(values: Tensor, places: Tensor) -> Tensor:
    """Of values (B,T,D) those at places (B,N) → (B,N,D)."""
    return values.gather(1, places.unsqueeze(2).expand(-1, -1, values.shape[2]))


def in_sequence(spans: Tensor, rows: int) -> Emitted:
    """Spans (N,4), as `gold_spans` gives them, by row; E is the most of a row, padded to a multiple of STEPS."""
    row, *values = spans.unbind(1)
    count = torch.bincount(row, minlength=rows)
    order = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    steps = -(-int(count.max()) // STEPS) * STEPS
    padded = [value.new_zeros(rows, steps).index_put_((row, order), value) for value in values]
    first, last, kind = padded
    return Emitted(first, last, kind, count)


def choice_loss(logs: Tensor, chosen: Tensor, smoothing: float) -> Tensor:
    """Summed negative log-likelihood of choices (N,) under distributions (N,C), as logarithms → ().

    With smoothing ε, a choice keeps 1 − ε, and ε goes in equal parts to all that might be chosen.
    """
    loss = -logs.gather(1, chosen.unsqueeze(1)).sum()
    if not smoothing:
        return loss
    possible = logs > FORBIDDEN / 2
    spread = logs.where(possible, 0).sum(1) / possible.sum(1).clamp(min=1)
    return (1 - smoothing) * loss - smoothing * spread.sum()
