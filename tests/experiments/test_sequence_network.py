"""The baselines of pointer networks, and the tours of the nearest neighbour."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from daguan.experiments.claims.pointer import SIDES
from daguan.experiments.geometry.polygons import perimeters
from daguan.experiments.geometry.salesman import nearest_neighbour_tours, shortest_tours
from daguan.experiments.geometry.tasks import TASKS
from daguan.experiments.pointer_network import pointing_loss
from daguan.experiments.pointer_search import beam_search
from daguan.experiments.sequence_network import SequenceNetwork

BOTH = pytest.mark.parametrize("attends", [False, True])


def points(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, size, 2), dtype=np.float32)


@BOTH
def test_choices_depend_on_those_before_them_alone_and_their_probabilities_add_up(attends: bool) -> None:
    torch.manual_seed(0)
    network = SequenceNetwork(8, 4, attends)
    read, mask = torch.from_numpy(points(3, 4)), torch.ones(3, 4, dtype=torch.bool)
    choices = torch.tensor([[1, 2, 3, 0], [4, 1, 0, 0], [2, 3, 4, 0]])
    logs = network(read, mask, choices)
    assert logs.shape == (3, 4, 5)
    assert torch.allclose(logs.exp().sum(2), torch.ones(3, 4))
    changed = choices.clone()
    changed[:, 2] = 1
    assert torch.equal(network(read, mask, changed)[:, :3], logs[:, :3])
    assert pointing_loss(logs, choices).shape == (3,)


@BOTH
def test_greedy_search_takes_the_most_probable_choice_at_each_step(attends: bool) -> None:
    torch.manual_seed(0)
    network = SequenceNetwork(8, 4, attends)
    read, mask = torch.from_numpy(points(5, 4)), torch.ones(5, 4, dtype=torch.bool)
    found, _ = beam_search(network, read, mask, 1, 4)
    with torch.no_grad():
        logs = network(read, mask, found)
    for row, steps in zip(found.tolist(), logs[:, :4].argmax(2).tolist(), strict=True):
        ends = row.index(0) if 0 in row[:4] else 4
        assert row[: ends + 1][:4] == steps[: ends + 1]


def test_a_choice_of_a_point_that_is_not_there_has_no_probability() -> None:
    network = SequenceNetwork(8, 4, True)
    mask = torch.tensor([[True, True, True, False]])
    logs = network(torch.from_numpy(points(1, 4)), mask, torch.tensor([[1, 2, 0]]))
    assert (logs[:, :, 4].exp() == 0).all()


def test_a_tour_of_nearest_neighbours_goes_to_the_nearest_point_left_and_is_no_shorter_than_the_shortest() -> None:
    drawn = points(50, 6)
    tours = nearest_neighbour_tours(drawn)
    assert (np.sort(tours, axis=1) == np.arange(6)).all()
    assert (tours[:, 0] == 0).all()
    for own, tour in zip(drawn.astype(np.float64), tours, strict=True):
        for step in range(1, 6):
            ways = np.linalg.norm(own[tour[step:]] - own[tour[step - 1]], axis=1)
            assert ways[0] == ways.min()
    assert (perimeters(drawn, tours) >= perimeters(drawn, shortest_tours(drawn)) - 1e-9).all()


def test_every_side_of_the_claim_is_a_problem_that_can_be_solved_at_its_sizes() -> None:
    for side in SIDES.values():
        assert max(side.n, *side.tested) <= TASKS[side.task].most_points
        assert side.network in ("pointer", "nearest") or side.tested == (side.n,)
