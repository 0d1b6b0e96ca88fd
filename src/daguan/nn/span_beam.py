"""Beam search for the most probable sequences of spans of a `SpanDecoder`, all sentences and hypotheses at once.

B sentences of up to T tokens, W hypotheses each, of which N in all go on, D units. A step emits a span in three
choices, and after each the best W of a sentence are kept: those that have ended compete with what they have.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from daguan.nn.pointer_attention import FORBIDDEN
from daguan.nn.span_decoder import NO_MORE, Reading, SpanDecoder
from daguan.nn.spans import spelled

Live = tuple[Tensor, Tensor]  # row and hypothesis (N,) of those that go on


class Beam(NamedTuple):
    """Hypotheses, best first: log P so far (B,W); has it ended, where is it to go on, the ends of the span it is at
    (B,W); the decoder's state (B,W,D); BIOES tags (B,W,T)."""

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
    """The sets of spans that the beam ends with: BIOES tags (B,W,T) and log P (B,W), best first; W is `width`, or less
    if there are fewer. Where a sentence has not as many, the rest have FORBIDDEN or less.

    A step takes a hypothesis at least one token further, so that after T steps there is nothing left but the end.
    """
    beam = _opened(decoder, reading)
    while True:
        live = beam.live
        starts = decoder.starts(reading, live[0], beam.state[live], beam.since[live])
        beam, start = _chosen(beam, live, starts, width)
        ended = beam.ended | (start == NO_MORE) | (beam.logs < FORBIDDEN / 2)
        beam = beam._replace(ended=ended, first=start - 1)
        if bool(ended.all()):
            return beam.tags, beam.logs
        live = beam.live
        beam, last = _chosen(beam, live, decoder.stops(reading, live[0], beam.state[live], beam.first[live]), width)
        beam, live = beam._replace(last=last), beam.live
        types = decoder.types_of(reading, live[0], beam.state[live], beam.first[live], last[live])
        beam = _emitted(decoder, reading, *_chosen(beam, live, types, width))


def _opened(decoder: SpanDecoder, reading: Reading) -> Beam:
    """One hypothesis, of nothing yet."""
    rows, length = reading.mask.shape
    zeros = torch.zeros_like(reading.mask[:, :1], dtype=torch.long)
    state = decoder.follow(decoder.begin.expand(rows, 1, -1), reading.state)
    tags = zeros.unsqueeze(2).expand(-1, -1, length)
    return Beam(state.new_zeros(rows, 1), zeros.bool(), zeros, zeros, zeros, state, tags)


def _chosen(beam: Beam, live: Live, options: Tensor, width: int) -> tuple[Beam, Tensor]:
    """The best hypotheses that go on with one of the options, log P (N,C), and which (B,W). Those that have ended
    have one option: the first, which changes nothing."""
    count = options.shape[1]
    total = options.new_full((*beam.logs.shape, count), FORBIDDEN)
    total[..., 0] = 0
    total[live] = options
    logs, place = (beam.logs.unsqueeze(2) + total).flatten(1).topk(min(width, beam.logs.shape[1] * count))
    parent = torch.arange(len(place), device=place.device).unsqueeze(1), place // count
    return Beam(logs, *(values[parent] for values in beam[1:])), place % count


def _emitted(decoder: SpanDecoder, reading: Reading, beam: Beam, kind: Tensor) -> Beam:
    """With the spans from first to last, of type `kind` (B,W), written down where it goes on, and the decoder told."""
    live = beam.live
    first, last, kind = beam.first[live], beam.last[live], kind[live]
    told, tags = decoder.spans(reading, live[0], first, last, kind), spelled(first, last, kind, beam.tags.shape[2])
    beam.state[live] = decoder.follow(told.unsqueeze(1), beam.state[live]).squeeze(1)
    beam.tags[live] += tags
    beam.since[live] = last + 1
    return beam
