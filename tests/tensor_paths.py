"""Viterbi paths of padded tensors, as pytorch-crf takes and gives them."""

from __future__ import annotations

import torch
from torch import Tensor

from daguan.data.tags import TagScheme
from daguan.data.viterbi import Floats, Ints, best_legal_paths, best_paths, transitions_of


def viterbi(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """The best paths (B,T), 0 at padding, of emissions (B,T,K)."""
    chain = transitions_of(*(table.detach().float().numpy() for table in (transitions, start, end)))
    return padded(best_paths(*flat(emissions, mask), chain), mask)


def constrained_decode(scores: Tensor, scheme: TagScheme, mask: Tensor) -> Tensor:
    """The best legal paths (B,T), 0 at padding, of scores (B,T,K)."""
    return padded(best_legal_paths(*flat(scores, mask), scheme), mask)


def flat(scores: Tensor, mask: Tensor) -> tuple[Floats, Ints]:
    return scores.detach()[mask].float().numpy(), mask.sum(1).numpy()


def padded(tags: Ints, mask: Tensor) -> Tensor:
    found = torch.zeros(mask.shape, dtype=torch.long)
    found[mask] = torch.from_numpy(tags)
    return found
