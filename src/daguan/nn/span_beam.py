"""Beam search for the most probable sequences of spans of a `SpanDecoder`, all sentences and hypotheses at once.

B sentences of up to T tokens, W hypotheses, D units. A step emits a span in three choices, and after each the best W
of a sentence go on: a hypothesis that has ended competes with its probability as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from daguan.nn.pointer_attention import FORBIDDEN
from daguan.nn.span_decoder import NO_MORE, Reading, SpanDecoder, at
from daguan.nn.spans import spelled


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


@torch.no_grad()
def best_sequences(decoder: SpanDecoder, reading: Reading, width: int) -> tuple[Tensor, Tensor]:
    """The sets of spans that the beam ends with: BIOES tags (B,W,T) and log P (B,W), best first; W is `width`, or less
    if there are fewer. Those that are impossible, where a sentence has not as many, have FORBIDDEN or less.

    A step takes a hypothesis at least one token further, so that after T steps there is nothing left but the end.
    """
    beam = _opened(decoder, reading)
    while True:
        beam, chosen = _chosen(beam, decoder.starts(reading, beam.state, beam.since), width)
        ended = beam.ended | (chosen == NO_MORE) | (beam.logs < FORBIDDEN / 2)
        beam = beam._replace(ended=ended, first=(chosen - 1).clamp(min=0))
        if bool(ended.all()):
            return beam.tags, beam.logs
        beam, last = _chosen(beam, decoder.stops(reading, beam.state, beam.first), width)
        beam = beam._replace(last=last.where(~beam.ended, beam.first))
        types = decoder.types_of(reading, beam.state, beam.first, beam.last)
        beam, kind = _chosen(beam, types, width)
        beam = _emitted(decoder, reading, beam, kind)


def _opened(decoder: SpanDecoder, reading: Reading) -> Beam:
    """One hypothesis, of nothing yet."""
    rows, length = reading.mask.shape
    zeros = reading.mask.new_zeros(rows, 1, dtype=torch.long)
    state = decoder.follow(decoder.first_inputs(rows), reading.state)
    tags = zeros.unsqueeze(2).expand(-1, -1, length)
    return Beam(state.new_zeros(rows, 1), zeros.bool(), zeros, zeros, zeros, state, tags)


def _chosen(beam: Beam, options: Tensor, width: int) -> tuple[Beam, Tensor]:
    """The best hypotheses that go on with one of the options, log P (B,W,C), and which (B,W). Those that have ended
    have one option: the first, which changes nothing."""
    none = torch.full_like(options[:1, :1], FORBIDDEN)
    none[..., 0] = 0
    total = beam.logs.unsqueeze(2) + torch.where(beam.ended.unsqueeze(2), none, options)
    count = options.shape[2]
    logs, place = total.flatten(1).topk(min(width, total.shape[1] * count))
    parent, others = place // count, beam._replace(logs=logs)[1:]
    return Beam(logs, *(_of_parents(values, parent) for values in others)), place % count


def _of_parents(values: Tensor, parent: Tensor) -> Tensor:
    """values (B,W,…), parent (B,W')."""
    return at(values, parent) if values.dim() == 3 else values.gather(1, parent)


def _emitted(decoder: SpanDecoder, reading: Reading, beam: Beam, kind: Tensor) -> Beam:
    """With the span from first to last, of type `kind` (B,W), written down, and the decoder told of it."""
    goes_on = ~beam.ended.unsqueeze(2)
    tags = spelled(beam.first, beam.last, kind, beam.tags.shape[2])
    inputs = decoder.spans(reading, beam.first, beam.last, kind)
    state = decoder.follow(inputs.flatten(0, 1).unsqueeze(1), beam.state.flatten(0, 1)).view_as(beam.state)
    written = (tags > 0) & goes_on
    return beam._replace(since=beam.last + 1, state=state, tags=tags.where(written, beam.tags))
