"""Training of pointer networks: the budget, resuming to the bit, what is drawn, and that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.seeds import stream
from daguan.core.settings import build
from daguan.experiments.geometry.tasks import TASKS, draw_points
from daguan.experiments.pointer_network import counted
from daguan.experiments.pointer_settings import PointingSettings
from daguan.experiments.pointer_training import (
    PointerTrainer,
    answers,
    choices_of,
    held_out,
    load_network,
    rate_at,
    save_network,
)
from daguan.training.devices import prepare_process


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def tiny(**more: Any) -> PointingSettings:
    values = {"n": 4, "hidden": 8, "batch_size": 6, "updates": 6, "checkpoint_seconds": 0, "device": "cpu"}
    return build(PointingSettings, values | more)


def weights(trainer: PointerTrainer) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


def test_instances_of_the_evaluation_have_as_many_points_as_tested_says_and_else_n() -> None:
    assert held_out(tiny(held_out=9)).shape == (9, 4, 2)
    assert held_out(tiny(held_out=9, tested=7)).shape == (9, 7, 2)
    assert (held_out(tiny(n=7)) == held_out(tiny(tested=7))).all()
    with pytest.raises(ConfigError, match="tested: expected 0 or 3 or more"):
        tiny(tested=2)


def test_minutes_used_are_kept_in_the_checkpoint_and_none_are_left_at_the_end(tmp_path: Path) -> None:
    settings = tiny(updates=0, minutes=0.02)
    first = PointerTrainer("tsp", settings)
    for _ in first.fit(tmp_path):
        if first.share > 0.5:
            break
    first.save_checkpoint(tmp_path)
    used = first.share
    second = PointerTrainer("tsp", settings)
    second.load_checkpoint(tmp_path)
    assert second.done == first.done
    assert 1 >= second.share >= min(used, 0.5)
    assert second.cpu_seconds > 0
    assert second.watch.seconds >= 0.5 * 60 * 0.02
    shares = [update.share for update in second.fit(tmp_path)]
    assert shares == sorted(shares)
    assert second.share == 1


def test_the_rate_rises_and_falls_by_the_share_of_the_budget() -> None:
    assert [rate_at(share, 0.2) for share in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert [rate_at(share, 0) for share in (0, 0.5, 1)] == [1, 0.5, 0]


def test_instances_follow_from_seed_and_update_and_none_is_held_out() -> None:
    one, same, other = (PointerTrainer("convex-hull", tiny(seed=seed)) for seed in (1, 1, 2))
    assert (one._draw(3) == same._draw(3)).all()
    assert (one._draw(3) != one._draw(4)).any()
    assert (one._draw(3) != other._draw(3)).any()
    points = held_out(tiny(held_out=50))
    assert (points == held_out(tiny(held_out=50, seed=9))).all()
    seen = {row.tobytes() for update in range(50) for row in one._draw(update)}
    assert not seen & {row.tobytes() for row in points}


def test_sizes_in_training_are_drawn_from_the_fewest_on() -> None:
    trainer = PointerTrainer("delaunay", tiny(fewest=3, n=5))
    sizes = [trainer._draw(update).shape[1] for update in range(60)]
    assert set(sizes) == {3, 4, 5}
    assert {PointerTrainer("delaunay", tiny(n=5))._draw(update).shape[1] for update in range(9)} == {5}


def test_two_threads_learn_what_one_does() -> None:
    points = draw_points(stream(1, "points"), 7, 8)
    corners = (TASKS["convex-hull"].solve(points) >= 0).sum(1)
    assert len(set(corners.tolist())) > 1  # parts differ in how many choices they have
    gradients = []
    for threads in (1, 2):
        prepare_process(threads)
        trainer = PointerTrainer("convex-hull", tiny(batch_size=7))
        loss = sum(trainer.replicas.map(trainer._train_on, np.array_split(points, threads)))
        trainer.replicas.gather_gradients()
        gradients.append((loss, [weight.grad for weight in trainer.model.parameters()]))
    (one, of_one), (two, of_two) = gradients
    assert one == pytest.approx(two)
    assert all(torch.allclose(left, right, atol=1e-6) for left, right in zip(of_one, of_two, strict=True))


def test_choices_are_the_sequences_with_an_end() -> None:
    sequences = np.array([[2, 0, -1, -1], [1, 3, 0, -1]])
    choices = choices_of(sequences)
    assert choices.tolist() == [[3, 1, 0, 0], [2, 4, 1, 0]]
    assert counted(choices).sum(1).tolist() == [3, 4]


@pytest.mark.parametrize("task", TASKS)
def test_a_small_network_learns_triangles_in_seconds(tmp_path: Path, task: str) -> None:
    settings = tiny(n=3, hidden=32, batch_size=64, updates=150, learning_rate=2e-2, held_out=300)
    trainer = PointerTrainer(task, settings)
    seen = [update.loss for update in trainer.fit(tmp_path)]
    assert seen[-1] < 0.3 * seen[0]
    points = held_out(settings)
    answered = answers(trainer.model, TASKS[task], points, 2)
    measured = TASKS[task].measure(points, answered, TASKS[task].solve(points))
    assert measured["accuracy"] > 0.6


def test_answers_do_not_depend_on_what_is_answered_beside_them() -> None:
    network = PointerTrainer("tsp", tiny()).model
    points = held_out(tiny(held_out=30))
    together = answers(network, TASKS["tsp"], points, 3)
    assert (answers(network, TASKS["tsp"], points[::-1].copy(), 3)[::-1] == together).all()
    assert (np.sort(together, axis=1) == np.arange(4)).all()


def test_a_saved_network_is_the_same_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    trainer = PointerTrainer("tsp", tiny())
    save_network(tmp_path, trainer.model, {"task": "tsp"})
    again = load_network(tmp_path, torch.device("cpu"))
    expected = weights(trainer)
    assert all(weight.equal(expected[name]) for name, weight in again.named_parameters())
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"model.safetensors: expected a whole checkpoint"):
        load_network(tmp_path, torch.device("cpu"))
