"""Beam search against all sequences."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from daguan.nn.beams import Beams

B, K, T = 3, 3, 4


def chain() -> tuple[Tensor, Tensor]:
    """First symbols' log-probabilities (B,K), and those of the next by time and symbol (B,T,K,K)."""
    torch.manual_seed(0)
    return torch.randn(B, K).log_softmax(1), (2 * torch.randn(B, T, K, K)).log_softmax(3)


def searched(width: int) -> Beams:
    first, following = chain()
    beams = Beams(B, width, T, first.device)
    for step in range(T):
        if step == 0:
            logs = first.unsqueeze(1).expand(B, width, K)
        else:
            before = beams.written[:, :, step - 1]
            logs = following[torch.arange(B)[:, None], step, before]
        beams.grow(logs)
    return beams


def all_scores() -> dict[tuple[int, ...], Tensor]:
    """Returns the score of each sequence in each row (B,)."""
    first, following = chain()
    return {
        sequence: first[:, sequence[0]] + sum(following[:, t, sequence[t - 1], sequence[t]] for t in range(1, T))
        for sequence in product(range(K), repeat=T)
    }


def test_a_beam_of_all_prefixes_finds_every_sequence_in_order() -> None:
    scores, beams = all_scores(), searched(K**T)
    for row in range(B):
        order = sorted(scores, key=lambda sequence: -scores[sequence][row].item())
        assert list(map(tuple, beams.written[row].tolist())) == order
        assert torch.allclose(beams.scores[row], torch.stack([scores[s][row] for s in order]), atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_narrow_beam_s_scores_are_those_of_what_it_wrote(width: int) -> None:
    scores, beams = all_scores(), searched(width)
    for row in range(B):
        written = list(map(tuple, beams.written[row].tolist()))
        assert len(set(written)) == width
        expected = torch.stack([scores[sequence][row] for sequence in written])
        assert torch.allclose(beams.scores[row], expected, atol=1e-5)
        assert beams.scores[row].tolist() == sorted(beams.scores[row].tolist(), reverse=True)


def test_slots_lead_back_through_what_was_written() -> None:
    """What each slot wrote at each step, read along a prefix's slots, is the prefix."""
    torch.manual_seed(1)
    beams = Beams(B, 4, T, torch.device("cpu"))
    wrote = torch.zeros(B, T, 4, dtype=torch.long)
    rows = torch.arange(B)[:, None]
    for step in range(T):
        beams.grow(torch.randn(B, 4, 5).log_softmax(2))
        wrote[:, step] = beams.written[:, :, step]  # slot w of the next step holds what prefix w wrote
        if step + 1 < T:
            past = beams.ancestry()  # of step + 1: slots of steps 0 … step + 1
            assert past.sum(3).eq(1).all()
            slots = past.int().argmax(3)
            for earlier in range(1, step + 2):
                assert wrote[rows, earlier - 1, slots[:, :, earlier]].equal(beams.written[:, :, earlier - 1])
