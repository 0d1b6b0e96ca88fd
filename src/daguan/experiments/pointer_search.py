"""Beam search in a pointer network, over a whole batch at once. Letters as in `pointer_network`; W beams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from daguan.experiments.pointer_network import END, ChoosingNetwork, State
from daguan.nn.pointer_attention import FORBIDDEN

Allowed = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def beam_search(
    network: ChoosingNetwork, points: Tensor, mask: Tensor, width: int, longest: int, allowed: Allowed | None = None
) -> tuple[Tensor, Tensor]:
    """Returns the most probable sequences of `longest` points at most that `width` beams find, and their logarithms.

    One beam is greedy search. `allowed(chosen (B,W,S), mask (B,N))` returns the choices (B,W,N+1) that may come next;
    their probabilities are not renormalised. points (B,N,2), mask (B,N) left-aligned → choices (B,longest+1), (B,).
    """
    memory, state = network.read(points, mask)
    memory, state = _for_beams(memory, state, width)
    slots = memory.mask.shape[1]
    chosen = points.new_zeros((len(points), width, 0), dtype=torch.long)
    scores = points.new_full((len(points), width), FORBIDDEN)
    scores[:, 0] = 0
    for _ in range(longest + 1):
        logs, state = network.decode(memory, _last(chosen), state)
        logs = logs.view(*scores.shape, slots).masked_fill(~_permitted(chosen, mask, longest, allowed), FORBIDDEN)
        logs = torch.where(_ended(chosen).unsqueeze(2), _only_end(logs), logs)
        scores, best = (scores.unsqueeze(2) + logs).flatten(1).topk(width, dim=1)
        beams = best // slots
        chosen = torch.cat([_of_beams(chosen, beams), (best % slots).unsqueeze(2)], dim=2)
        state = _reordered(state, beams)
        if _ended(chosen)[:, 0].all():  # the others can only lose by continuing
            break
    return pad(chosen[:, 0], (0, longest + 1 - chosen.shape[2]), value=END), scores[:, 0]


def tours(chosen: Tensor, mask: Tensor) -> Tensor:
    """Returns the next choices of a tour: it starts at the first point, visits each once, and then ends (§4.4)."""
    batch, width, steps = chosen.shape
    seen = torch.zeros(batch, width, mask.shape[1] + 1, dtype=torch.bool, device=mask.device)
    seen.scatter_(2, chosen, True)
    left = mask.unsqueeze(1) & ~seen[:, :, 1:]
    end = ~left.any(2, keepdim=True)
    if steps == 0:
        left[:, :, 1:] = False
    return torch.cat([end, left], dim=2)


def _for_beams(memory: Any, state: State, width: int) -> tuple[Any, State]:
    """Returns a copy for each beam: (B·W,…)."""
    copied = type(memory)(*(part.repeat_interleave(width, 0) for part in memory))
    hidden, cell = (part.repeat_interleave(width, 1) for part in state)
    return copied, (hidden, cell)


def _permitted(chosen: Tensor, mask: Tensor, longest: int, allowed: Allowed | None) -> Tensor:
    """Returns (B,W,N+1): after `longest` points only END."""
    batch, width, steps = chosen.shape
    if steps == longest:
        end = torch.arange(mask.shape[1] + 1, device=mask.device) == END
        return end.expand(batch, width, -1)
    if allowed is None:
        return torch.ones(batch, width, mask.shape[1] + 1, dtype=torch.bool, device=mask.device)
    return allowed(chosen, mask)


def _last(chosen: Tensor) -> Tensor:
    """Returns (B·W,1): the last choice, or the start symbol at the beginning."""
    batch, width, steps = chosen.shape
    return chosen[:, :, -1].reshape(-1, 1) if steps else chosen.new_full((batch * width, 1), END)


def _ended(chosen: Tensor) -> Tensor:
    return (chosen == END).any(2)


def _only_end(logs: Tensor) -> Tensor:
    """Returns the only continuation of an ended beam, at no cost."""
    going_on = torch.full_like(logs, FORBIDDEN)
    going_on[:, :, END] = 0
    return going_on


def _of_beams(chosen: Tensor, beams: Tensor) -> Tensor:
    return chosen.gather(1, beams.unsqueeze(2).expand(-1, -1, chosen.shape[2]))


def _reordered(state: State, beams: Tensor) -> State:
    batch, width = beams.shape
    rows = (torch.arange(batch, device=beams.device).unsqueeze(1) * width + beams).flatten()
    hidden, cell = (part.index_select(1, rows) for part in state)
    return hidden, cell
