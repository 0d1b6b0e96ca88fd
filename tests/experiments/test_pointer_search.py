"""Beam search against a loop of the likeliest choices and against all sequences there are."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from daguan.experiments.pointer_network import END, PointerNetwork, counted
from daguan.experiments.pointer_search import beam_search, tours

LENGTHS = [3, 2, 3, 1]


@pytest.fixture
def network() -> PointerNetwork:
    torch.manual_seed(3)
    network = PointerNetwork(8)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)  # choices are clear enough for rounding not to decide
    return network


def instances() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(4, 3, 2), torch.arange(3) < torch.tensor(LENGTHS).unsqueeze(1)


def log_probability(network: PointerNetwork, points: Tensor, mask: Tensor, choices: Tensor) -> Tensor:
    """(B,): END after the last place that `choices` has room for counts too."""
    logs = network(points, mask, choices).gather(2, choices.unsqueeze(2)).squeeze(2)
    return (logs * counted(choices)).sum(1)


def all_sequences(size: int, longest: int) -> list[list[int]]:
    """Every sequence of at most `longest` points, END after it."""
    return [
        [*points, *[END] * (longest + 1 - length)]
        for length in range(longest + 1)
        for points in product(range(1, size + 1), repeat=length)
    ]


@torch.no_grad()
def test_one_beam_takes_the_likeliest_choice_each_time(network: PointerNetwork) -> None:
    points, mask = instances()
    choices, scores = beam_search(network, points, mask, 1, 6)
    greedy = torch.zeros(4, 7, dtype=torch.long)
    for step in range(6):
        ended = (greedy[:, :step] == END).any(1)
        likeliest = network(points, mask, greedy)[:, step].argmax(1)
        greedy[:, step] = likeliest.masked_fill(ended, END)
    assert choices.equal(greedy)
    assert torch.allclose(scores, log_probability(network, points, mask, choices), atol=1e-4)


@torch.no_grad()
def test_enough_beams_find_the_likeliest_of_all_sequences(network: PointerNetwork) -> None:
    points, mask = instances()
    choices, scores = beam_search(network, points, mask, 40, 3)
    for row, length in enumerate(LENGTHS):
        sequences = torch.tensor(all_sequences(length, 3))
        one = slice(row, row + 1)
        repeated = points[one].expand(len(sequences), -1, -1), mask[one].expand(len(sequences), -1)
        of_all = log_probability(network, *repeated, sequences)
        assert torch.isclose(scores[row], of_all.max(), atol=1e-4)
        assert choices[row].tolist() == sequences[of_all.argmax()].tolist()


@torch.no_grad()
def test_more_beams_are_no_worse_and_padding_is_never_pointed_at(network: PointerNetwork) -> None:
    points, mask = instances()
    found = [beam_search(network, points, mask, width, 3) for width in (1, 40)]
    assert (found[1][1] >= found[0][1] - 1e-5).all()
    for choices, _ in found:
        assert (choices <= torch.tensor(LENGTHS).unsqueeze(1)).all()
    noisy = torch.nn.functional.pad(points.masked_fill(~mask.unsqueeze(2), 9.0), (0, 0, 0, 2), value=5.0)
    again, _ = beam_search(network, noisy, torch.nn.functional.pad(mask, (0, 2)), 5, 3)
    assert again.equal(beam_search(network, points, mask, 5, 3)[0])


@torch.no_grad()
@pytest.mark.parametrize("width", [1, 3, 50])
def test_a_search_among_tours_finds_tours(network: PointerNetwork, width: int) -> None:
    torch.manual_seed(2)
    lengths = [6, 3, 1, 5]
    points, mask = torch.rand(4, 6, 2), torch.arange(6) < torch.tensor(lengths).unsqueeze(1)
    choices, scores = beam_search(network, points, mask, width, 6, tours)
    for row, length in zip(choices.tolist(), lengths, strict=True):
        assert row[0] == 1
        assert sorted(row[:length]) == list(range(1, length + 1))
        assert set(row[length:]) == {END}
    assert torch.allclose(scores, log_probability(network, points, mask, choices), atol=1e-3)


@torch.no_grad()
def test_enough_beams_find_the_likeliest_tour(network: PointerNetwork) -> None:
    torch.manual_seed(2)
    points, mask = torch.rand(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)
    valid = torch.tensor([row for row in all_sequences(4, 4) if row[0] == 1 and sorted(row[:4]) == [1, 2, 3, 4]])
    of_all = log_probability(network, points.expand(6, -1, -1), mask.expand(6, -1), valid)
    choices, scores = beam_search(network, points, mask, 6, 4, tours)
    assert choices[0].tolist() == valid[of_all.argmax()].tolist()
    assert torch.isclose(scores[0], of_all.max(), atol=1e-4)
