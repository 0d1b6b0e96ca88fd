"""A pointer network that emits spans in reading order: the start of the next one, or the end; its stop; its type.

Vinyals et al. 2015 (arXiv 1506.03134) point; Nayak & Ng 2020 (arXiv 1911.09886 §3.2) emit a start, a stop and a type at
each step. Here the decoder points only to the right of the last span, so spans never overlap and every set of them has
one order. B sentences of up to T tokens, features H wide, D units, X types, N readers of one sentence each: all steps
of known sequences, or the hypotheses of a beam.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, pad, softplus

from daguan.nn.pointer_attention import FORBIDDEN, PointerAttention
from daguan.nn.scans import running_sums

NO_MORE = 0  # the start that ends the sequence; start 1 + t is token t
FEW_STARTS = -3.0  # the initial bias: a twentieth of the tokens are starts


class Reading(NamedTuple):
    """Everything that the decoder reads of the tokens.

    Attributes:
        mask: (B,T)
        features: (B,T,H)
        start_keys: (B,1+T,D)
        stop_keys: (B,T,D)
        own_starts: (B,1+T) the tokens' own scores as starts, in reading order.
        own_stops: (B,T) their own scores as stops, in reading order.
        types_of_start, types_of_stop: (B,T,X) scores of the types by either end.
        state: (B,D) the initial state.
    """

    mask: Tensor
    features: Tensor
    start_keys: Tensor
    stop_keys: Tensor
    own_starts: Tensor
    own_stops: Tensor
    types_of_start: Tensor
    types_of_stop: Tensor
    state: Tensor


class SpanDecoder(nn.Module):
    """A GRU over the emitted spans, with two pointers.

    Each pointer adds the token's own score, in reading order, to the attention's: see `in_reading_order`. `extra_width`
    is 2+2X: own scores of starts, of stops, of the start's types and of the stop's.
    """

    def __init__(self, width: int, size: int, types: int) -> None:
        super().__init__()
        self.width, self.size, self.types, self.extra_width = width, size, types, 2 + 2 * types
        self.start = PointerAttention(size, width, size)
        self.stop = PointerAttention(size + width, width, size)
        self.own = nn.Linear(width, self.extra_width)
        nn.init.zeros_(self.own.bias)
        nn.init.constant_(self.own.bias[:1], FEW_STARTS)
        self.no_more = nn.Parameter(torch.zeros(size))
        self.gist = nn.Linear(width, size)
        self.gru = nn.GRU(2 * width + size, size, batch_first=True)
        self.begin = nn.Parameter(torch.zeros(2 * width + size))
        self.whole = nn.Linear(2 * width + size, size)
        self.kind = nn.Linear(size, max(1, types))  # without types nothing is emitted
        self.kinds = nn.Embedding(max(1, types), size)

    def read(self, features: Tensor, extra: Tensor | None) -> Tensor:
        """features (B,T,H), extra (B,T,2+2X) → (B,T,H+2D+2+2X), all that depends on one token alone."""
        own = self.own(features) if extra is None else self.own(features) + extra
        return torch.cat([features, self.start.of_keys(features), self.stop.of_keys(features), own], dim=2)

    def open(self, read: Tensor, mask: Tensor) -> Reading:
        """Splits what `read` returned (B,T,H+2D+2+2X); mask (B,T)."""
        widths = [self.width, self.size, self.size, 1, 1, self.types, self.types]
        features, start_keys, stop_keys, starts, stops, of_start, of_stop = torch.split(read, widths, 2)
        start_keys = torch.cat([self.no_more.expand(len(read), 1, -1), start_keys], dim=1)
        own_starts, own_stops = (in_reading_order(own.squeeze(2), mask) for own in (starts, stops))
        inside = mask.unsqueeze(2)
        state = torch.tanh(self.gist((features * inside).sum(1) / inside.sum(1)))
        return Reading(mask, features, start_keys, stop_keys, own_starts, own_stops[:, 1:], of_start, of_stop, state)

    def follow(self, spans: Tensor, state: Tensor) -> Tensor:
        """spans (B,N,2H+D), state before them (B,D) → states after each (B,N,D)."""
        states: Tensor = self.gru(spans, state.unsqueeze(0))[0]
        return states

    def starts(self, reading: Reading, row: Tensor, state: Tensor, since: Tensor) -> Tensor:
        """Returns log P(start) (N,1+T) from token `since` (N,) on; state (N,D). Without types there is no start."""
        allowed = pad(_from(reading, row, since) & (self.types > 0), (1, 0), value=True)
        keys = reading.start_keys.index_select(0, row)
        return _pointed(self.start, state, keys, allowed, reading.own_starts[row])

    def stops(self, reading: Reading, row: Tensor, state: Tensor, first: Tensor) -> Tensor:
        """Returns log P(stop) (N,T) of spans that start at `first` (N,); the stop is the last token."""
        query = torch.cat([state, reading.features[row, first]], dim=1)
        keys = reading.stop_keys.index_select(0, row)
        return _pointed(self.stop, query, keys, _from(reading, row, first), reading.own_stops[row])

    def types_of(self, reading: Reading, row: Tensor, state: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Returns log P(type) (N,X) of spans from `first` to `last` (N,)."""
        scores = self.kind(torch.tanh(self.whole(_ends(reading, row, first, last, state))))
        return log_softmax(scores + reading.types_of_start[row, first] + reading.types_of_stop[row, last], dim=1)

    def spans(self, reading: Reading, row: Tensor, first: Tensor, last: Tensor, kind: Tensor) -> Tensor:
        """Returns the inputs of emitted spans (N,2H+D): the features of both ends, and the type."""
        return _ends(reading, row, first, last, self.kinds(kind))

    def choices(self, reading: Reading, spans: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Returns for starts, stops and types the log distributions (N,C) and the choices (N,) of these gold spans.

        Spans (N,4) are as `gold_spans` returns them. All steps are computed at once.
        """
        row, first, last, kind = spans.unbind(1)
        rows = torch.arange(len(reading.mask), device=row.device)
        number = torch.bincount(row, minlength=len(rows))
        step = torch.arange(len(row), device=row.device) - (number.cumsum(0) - number)[row]
        inputs = self.spans(reading, row, first, last, kind)
        inputs = inputs.new_zeros(len(rows), int(number.max()), inputs.shape[1]).index_put((row, step), inputs)
        states = self.follow(torch.cat([self.begin.expand(len(rows), 1, -1), inputs], dim=1), reading.state)
        state = states[row, step]
        since = torch.zeros_like(states[..., 0], dtype=torch.long).index_put((row, step + 1), last + 1)
        to_end = torch.cat([row, rows]), torch.cat([step, number])  # every span, and the end
        starts = self.starts(reading, to_end[0], states[to_end], since[to_end])
        return [
            (starts, pad(first + 1, (0, len(rows)), value=NO_MORE)),
            (self.stops(reading, row, state, first), last),
            (self.types_of(reading, row, state, first, last), kind),
        ]


def in_reading_order(scores: Tensor, mask: Tensor) -> Tensor:
    """Returns (B,1+T) log P that a place is the first to be taken, none first, if each is taken with probability
    σ(score).

    scores (B,T), mask (B,T). The values are −Σ softplus over all, and s − Σ softplus up to the place. Given that no
    place before some start is taken, all later values shrink by the same constant, which a softmax ignores: so this
    serves any start.
    """
    passed = running_sums(softplus(scores).masked_fill(~mask, 0))
    return torch.cat([-passed[:, -1:], scores - passed], dim=1)


def _pointed(attention: PointerAttention, query: Tensor, keys: Tensor, allowed: Tensor, own: Tensor) -> Tensor:
    """Returns log P (N,T). query (N,Q), projected keys (N,T,D), allowed (N,T), the tokens' own scores (N,T)."""
    scores = attention.point(query.unsqueeze(1), keys, allowed.unsqueeze(1)).squeeze(1)
    return log_softmax(scores + own, dim=1)


def _from(reading: Reading, row: Tensor, since: Tensor) -> Tensor:
    """Returns (N,T): the tokens of the row from `since` on."""
    mask = reading.mask
    return mask[row] & (torch.arange(mask.shape[1], device=mask.device) >= since.unsqueeze(1))


def _ends(reading: Reading, row: Tensor, first: Tensor, last: Tensor, beside: Tensor) -> Tensor:
    """Returns (N,2H+D): the features of both ends, and `beside` (N,D)."""
    return torch.cat([reading.features[row, first], reading.features[row, last], beside], dim=1)


def choice_loss(logs: Tensor, chosen: Tensor, smoothing: float) -> Tensor:
    """Returns the summed negative log-likelihood () of choices (N,) under log distributions (N,C).

    With smoothing ε, a choice gets 1 − ε, and ε is shared equally among all possible choices.
    """
    loss = -logs.gather(1, chosen.unsqueeze(1)).sum()
    if not smoothing:
        return loss
    possible = logs > FORBIDDEN / 2
    spread = logs.where(possible, 0).sum(1) / possible.sum(1).clamp(min=1)
    return (1 - smoothing) * loss - smoothing * spread.sum()
