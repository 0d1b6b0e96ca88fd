"""The training loop on a task of one weight: its order of work, checkpoints by the clock, stop signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from daguan.core.errors import CheckpointError, DivergenceError, StoppedError
from daguan.core.runs import CHECKPOINT
from daguan.training.checkpoints import load_state
from daguan.training.loop import WARM_UPDATES, Trainer, updates_a_second
from resuming import assert_resumes, assert_same_state

UPDATES = 6
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture(autouse=True)
def python_s_own_signal_handlers() -> Iterator[None]:
    """A shell lets a background process ignore SIGINT, and the loop leaves an ignored signal alone."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Slope(Trainer[tuple[int, float]]):
    """A weight that SGD with momentum pulls to 0, and the sum of its losses as further state."""

    def __init__(self, checkpoint_seconds: float = 0.0, start: float = 1.0, updates: int = UPDATES) -> None:
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, start)
        super().__init__(model, [SGD(model.parameters(), 0.1, momentum=0.9)], checkpoint_seconds)
        self.total, self.updates = 0.0, updates
        self.signals: dict[int, list[int]] = {}  # those that arrive during an update, by its number

    @property
    def finished(self) -> bool:
        return self.done == self.updates

    def step(self) -> Tensor:
        for number in self.signals.get(self.done, ()):
            os.kill(os.getpid(), number)
        (optimiser,) = self.optimisers
        optimiser.zero_grad()
        loss = self.model(torch.ones(1, 1)).square().sum()
        loss.backward()
        optimiser.step()
        return loss.detach().double()

    def after_update(self) -> tuple[int, float]:
        self.total += self.loss
        return self.done, self.loss

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()
        return tensors, values | {"total": self.total}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().restore(tensors, values)
        self.total = values["total"]


def saved(folder: Path) -> int:
    return int(load_state(folder / CHECKPOINT)[1]["done"])


@pytest.mark.parametrize("cut", range(1, UPDATES + 1))
def test_a_run_resumes_to_the_bit_after_any_update(tmp_path: Path, cut: int) -> None:
    assert_resumes(Slope, tmp_path, cut)


def test_without_a_folder_the_reports_are_the_same_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reports = list(Slope().steps())
    assert not list(tmp_path.iterdir())
    assert list(Slope().fit(tmp_path)) == reports


def test_the_reported_loss_is_smoothed(tmp_path: Path) -> None:
    """The mean of all losses so far, while there are few."""
    task = Slope()
    losses: list[Tensor] = []
    step = task.step
    task.step = lambda: losses.append(step()) or losses[-1]  # type: ignore[method-assign]
    for _, loss in task.steps():
        assert loss == pytest.approx(torch.stack(losses).mean().item())


def test_checkpoints_are_saved_by_the_clock(tmp_path: Path) -> None:
    list(Slope(checkpoint_seconds=1e9).fit(tmp_path))
    assert not list(tmp_path.iterdir())
    for done, _ in Slope().fit(tmp_path):
        assert saved(tmp_path) == done


def test_seconds_add_up_over_processes(tmp_path: Path) -> None:
    first, second = Slope(), Slope()
    generator = first.fit(tmp_path)
    next(generator)
    first.watch._before = 100.0
    next(generator)
    next(second.fit(tmp_path))
    assert 100 < second.watch.seconds < 200


@SIGNALS
@pytest.mark.parametrize("update", [0, 2, UPDATES - 1])
def test_a_signal_during_an_update_saves_it_and_the_rerun_ends_with_the_same_bits(
    tmp_path: Path, number: int, update: int
) -> None:
    before = signal.getsignal(number)
    stopped = Slope(checkpoint_seconds=1e9)
    stopped.signals[update] = [number]
    reports = []
    with pytest.raises(StoppedError, match=rf"stopped after update {update + 1}; the same command continues"):
        reports += stopped.fit(tmp_path)
    assert signal.getsignal(number) == before
    assert saved(tmp_path) == update + 1
    whole, rerun = Slope(), Slope()
    assert stopped.done + len(list(rerun.fit(tmp_path))) == len(list(whole.steps())) == UPDATES
    assert_same_state(whole, rerun)


@SIGNALS
def test_a_signal_between_updates_saves_the_last_one(tmp_path: Path, number: int) -> None:
    updates = Slope(checkpoint_seconds=1e9).fit(tmp_path)
    next(updates)
    os.kill(os.getpid(), number)
    with pytest.raises(StoppedError):
        next(updates)
    assert saved(tmp_path) == 1


def test_terminating_twice_still_saves_and_interrupting_twice_ends_at_once(tmp_path: Path) -> None:
    patient = Slope(checkpoint_seconds=1e9)
    patient.signals[1] = [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
    with pytest.raises(StoppedError):
        list(patient.fit(tmp_path / "patient"))
    assert saved(tmp_path / "patient") == 2
    impatient = Slope(checkpoint_seconds=1e9)
    impatient.signals[1] = [signal.SIGINT, signal.SIGINT]
    with pytest.raises(KeyboardInterrupt):
        list(impatient.fit(tmp_path / "impatient"))
    assert not (tmp_path / "impatient").exists()


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As the interrupt of a shell's background job is."""
    task = Slope()
    task.signals[1] = [signal.SIGINT]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert len(list(task.fit(tmp_path))) == UPDATES
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match="update 0: expected a finite loss, got inf"):
        list(Slope(start=1e30).fit(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=f"{CHECKPOINT}: expected a whole checkpoint"):
        next(Slope().fit(tmp_path))


@pytest.mark.parametrize("updates", [1, 2, WARM_UPDATES, WARM_UPDATES + 1, 2 * WARM_UPDATES])
def test_a_run_of_few_updates_has_a_speed_by_which_all_of_them_are_done(updates: int) -> None:
    assert updates_a_second(Slope(updates=updates)) > updates
