"""The pointer network: probabilities, teacher forcing, padding, the order of the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from daguan.experiments.pointer_network import END, PointerNetwork, counted, pointing_loss

LENGTHS = [5, 3, 4]
CHOICES = torch.tensor([[2, 5, 1, 0, 0], [3, 1, 2, 1, 0], [4, 0, 0, 0, 0]])


@pytest.fixture
def network() -> PointerNetwork:
    torch.manual_seed(0)
    return PointerNetwork(8)


def instances() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(3, 5, 2), torch.arange(5) < torch.tensor(LENGTHS).unsqueeze(1)


def test_probabilities_are_of_end_and_the_points_there_are(network: PointerNetwork) -> None:
    points, mask = instances()
    probabilities = network(points, mask, CHOICES).exp()
    assert probabilities.shape == (3, 5, 6)
    assert torch.allclose(probabilities.sum(2), torch.ones(3, 5))
    there = torch.cat([torch.ones(3, 1, dtype=torch.bool), mask], dim=1).unsqueeze(1).expand_as(probabilities)
    assert (probabilities[~there] == 0).all()
    assert (probabilities[there] > 0).all()


@torch.no_grad()
def test_padding_is_neither_read_nor_pointed_at(network: PointerNetwork) -> None:
    points, mask = instances()
    logs = network(points, mask, CHOICES)
    noisy = torch.cat([points.masked_fill(~mask.unsqueeze(2), 7.0), torch.full((3, 2, 2), 3.0)], dim=1)
    wider = torch.nn.functional.pad(mask, (0, 2))
    assert torch.allclose(network(noisy, wider, CHOICES)[:, :, :6], logs, atol=1e-6)
    for row, length in enumerate(LENGTHS):
        one = slice(row, row + 1)
        alone = network(points[one, :length], mask[one, :length], CHOICES[one].clamp(max=length))
        assert torch.allclose(alone, logs[one, :, : length + 1], atol=1e-5)


@torch.no_grad()
def test_the_order_of_the_batch_does_not_matter(network: PointerNetwork) -> None:
    points, mask = instances()
    order = torch.tensor([2, 0, 1])
    logs = network(points, mask, CHOICES)
    assert torch.allclose(network(points[order], mask[order], CHOICES[order]), logs[order], atol=1e-6)


@torch.no_grad()
def test_the_points_in_another_order_are_another_input(network: PointerNetwork) -> None:
    points, mask = instances()
    full, choices = points[:1], CHOICES[:1]
    assert not torch.allclose(network(full, mask[:1], choices), network(full.flip(1), mask[:1], choices))


@torch.no_grad()
def test_a_step_sees_the_coordinates_of_what_was_chosen_before_it_alone(network: PointerNetwork) -> None:
    points, mask = instances()
    logs = network(points, mask, CHOICES)
    for step in range(5):
        other = CHOICES.clone()
        other[:, step] = (other[:, step] + 1) % 4
        changed = network(points, mask, other)
        assert torch.allclose(changed[:, : step + 1], logs[:, : step + 1], atol=1e-6)
        assert step == 4 or not torch.allclose(changed[:, step + 1], logs[:, step + 1], atol=1e-6)
    twins = points[:1].clone()
    twins[:, 1] = twins[:, 0]
    one, other = torch.tensor([[1, 3, 0]]), torch.tensor([[2, 3, 0]])
    assert network(twins, mask[:1], one)[:, 1:].equal(network(twins, mask[:1], other)[:, 1:])


@torch.no_grad()
def test_decoding_step_by_step_is_teacher_forcing(network: PointerNetwork) -> None:
    points, mask = instances()
    memory, state = network.read(points, mask)
    before, steps = torch.full((3, 1), END), []
    for step in range(CHOICES.shape[1]):
        logs, state = network.decode(memory, before, state)
        steps.append(logs)
        before = CHOICES[:, step : step + 1]
    assert torch.allclose(torch.cat(steps, dim=1), network(points, mask, CHOICES), atol=1e-6)


def test_the_loss_counts_each_choice_up_to_the_first_end(network: PointerNetwork) -> None:
    points, mask = instances()
    assert counted(CHOICES).sum(1).tolist() == [4, 5, 2]
    logs = network(points, mask, CHOICES)
    expected = [
        -sum(logs[row, step, CHOICES[row, step]] for step in range(steps)) / steps
        for row, steps in enumerate([4, 5, 2])
    ]
    assert torch.allclose(pointing_loss(logs, CHOICES), torch.stack(expected))


def test_every_weight_learns(network: PointerNetwork) -> None:
    points, mask = instances()
    pointing_loss(network(points, mask, CHOICES), CHOICES).sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())
