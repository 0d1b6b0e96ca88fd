"""Batches made on a thread are those made without one, in order, also after a jump; its errors and its end are ours."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from daguan.training.batches_ahead import AHEAD, BatchesAhead
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from resuming import assert_resumes, assert_same_state
from updates import Make, fine_tuning, pretraining

EXACT = EngineSettings(device="cpu", precision="float32")
CPU, GPU = torch.device("cpu"), torch.device("cuda")
BOTH = pytest.mark.parametrize("make", [pretraining("modern", tokens=6 * 8 * 32), fine_tuning(epochs=3)])


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_updates_get_their_own_batches_in_any_order() -> None:
    batches = BatchesAhead(lambda update: update, GPU)
    asked = [0, 1, 2, 7, 8, 3, 3]
    assert [batches.of(update) for update in asked] == asked
    batches.close()
    assert not ours()


def test_the_thread_is_as_far_ahead_as_it_says_and_a_cpu_has_none() -> None:
    made: list[int] = []
    batches = BatchesAhead(made.append, GPU)
    batches.of(5)
    batches.close()
    assert made == list(range(5, 5 + len(made)))
    assert len(made) <= 1 + AHEAD
    BatchesAhead(made.append, CPU).of(0)
    assert made[-1] == 0
    assert not ours()


def test_an_error_is_raised_where_its_batch_is_asked_for() -> None:
    batches = BatchesAhead(lambda update: 1 // (2 - update), GPU)
    assert [batches.of(0), batches.of(1)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        batches.of(2)
    batches.close()
    assert not ours()


@BOTH
def test_a_thread_changes_no_bit_also_of_a_resumed_run(make: Make, tmp_path: Path) -> None:
    prepare_process(1)

    def with_thread():  # type: ignore[no-untyped-def]
        trainer = make(EXACT, tmp_path)
        trainer.batches.ahead, trainer._checkpoint_seconds = 2, 0.0  # type: ignore[attr-defined]
        return trainer

    plain = make(EXACT, tmp_path)
    list(plain.steps())
    whole, _ = assert_resumes(with_thread, tmp_path, 3)
    assert_same_state(plain, whole)
    assert not ours()


@BOTH
def test_losses_that_are_read_later_change_no_bit(make: Make, tmp_path: Path) -> None:
    prepare_process(1)
    each, later = make(EXACT, tmp_path), make(EXACT, tmp_path)
    later.read_after = 4
    assert len(list(each.steps())) == len(list(later.steps()))
    assert_same_state(each, later)
