"""Beam search for the most probable span sequences of a `SpanDecoder`, over all sentences and hypotheses at once.

B sentences of up to T tokens, W hypotheses each, of which N in all continue, D units. A step emits a span in three
choices; after each, the best W hypotheses of a sentence remain, finished ones included.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from daguan.nn.pointer_attention import FORBIDDEN
from daguan.nn.span_decoder import NO_MORE, Reading, SpanDecoder
from daguan.nn.spans import tags_of_spans

Live = tuple[Tensor, Tensor]  # row and hypothesis (N,) of the unfinished ones


class Beam(NamedTuple):
    """Hypotheses, best first.

    Attributes:
        logs: (B,W) log P so far.
        ended: (B,W) whether it is finished.
        since: (B,W) the token from which it continues.
        first, last: (B,W) the ends of its current span.
        state: (B,W,D) the decoder's.
        tags: (B,W,T) BIOES.
    """

    logs: Tensor
    ended: Tensor
    since: Tensor
    first: Tensor
    last: Tensor
    state: Tensor
    tags: Tensor

    @property
    def live(self) -> Live:
        row, way = (~self.ended).nonzero().unbind(1)
        return row, way


@torch.no_grad()
def best_sequences(decoder: SpanDecoder, reading: Reading, width: int) -> tuple[Tensor, Tensor]:
    """Returns the final span sets, best first: BIOES tags (B,W,T) and log P (B,W), FORBIDDEN or less for missing ones.

    W is `width`, or less if there are fewer. A step moves a hypothesis on by at least a token, so T steps suffice.
    """
    beam = _initial_beam(decoder, reading)
    while True:
        live = beam.live
        starts = decoder.starts(reading, live[0], beam.state[live], beam.since[live])
        beam, start = _best(beam, live, starts, width)
        ended = beam.ended | (start == NO_MORE) | (beam.logs < FORBIDDEN / 2)
        beam = beam._replace(ended=ended, first=start - 1)
        if bool(ended.all()):
            return beam.tags, beam.logs
        live = beam.live
        beam, last = _best(beam, live, decoder.stops(reading, live[0], beam.state[live], beam.first[live]), width)
        beam, live = beam._replace(last=last), beam.live
        types = decoder.types_of(reading, live[0], beam.state[live], beam.first[live], last[live])
        beam = _with_spans(decoder, reading, *_best(beam, live, types, width))


def _initial_beam(decoder: SpanDecoder, reading: Reading) -> Beam:
    """Returns one empty hypothesis."""
    rows, length = reading.mask.shape
    zeros = torch.zeros_like(reading.mask[:, :1], dtype=torch.long)
    state = decoder.follow(decoder.begin.expand(rows, 1, -1), reading.state)
    tags = zeros.unsqueeze(2).expand(-1, -1, length)
    return Beam(state.new_zeros(rows, 1), zeros.bool(), zeros, zeros, zeros, state, tags)


def _best(beam: Beam, live: Live, options: Tensor, width: int) -> tuple[Beam, Tensor]:
    """Returns the best hypotheses after the choice of an option, and their options (B,W).

    `options` (N,C) is log P for live hypotheses. Finished ones have a single option, the first, which changes nothing.
    """
    count = options.shape[1]
    total = options.new_full((*beam.logs.shape, count), FORBIDDEN)
    total[..., 0] = 0
    total[live] = options
    logs, place = (beam.logs.unsqueeze(2) + total).flatten(1).topk(min(width, beam.logs.shape[1] * count))
    parent = torch.arange(len(place), device=place.device).unsqueeze(1), place // count
    return Beam(logs, *(values[parent] for values in beam[1:])), place % count


def _with_spans(decoder: SpanDecoder, reading: Reading, beam: Beam, kind: Tensor) -> Beam:
    """Adds the spans from first to last, of type `kind` (B,W), to live hypotheses, and feeds them to the decoder."""
    live = beam.live
    first, last, kind = beam.first[live], beam.last[live], kind[live]
    spans = decoder.spans(reading, live[0], first, last, kind)
    beam.state[live] = decoder.follow(spans.unsqueeze(1), beam.state[live]).squeeze(1)
    beam.tags[live] += tags_of_spans(first, last, kind, beam.tags.shape[2])
    beam.since[live] = last + 1
    return beam
