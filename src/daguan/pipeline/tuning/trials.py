"""The results of trials, and which trials are best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daguan.pipeline.tuning.space import Parameters

RUNNING, COMPLETE, PRUNED, FAILED, REPEATED = "running", "complete", "pruned", "failed", "repeated"


@dataclass(frozen=True)
class Outcome:
    """The result of a trial: F1 over the folds it trained, and their seconds, pretraining included."""

    f1: float
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A trial of the study.

    Attributes:
        index: from 0, without gaps.
        steps: F1 of each evaluation, by 100 x fold + the finished share of the fold's training in per cent.
        reason: why it failed, or which trial it repeats.
    """

    index: int
    state: str
    parameters: Parameters
    steps: Mapping[int, float] = field(default_factory=dict)
    outcome: Outcome | None = None
    reason: str = ""

    @property
    def finished(self) -> bool:
        return self.state != RUNNING


def fold_of(step: int) -> int:
    """Returns the fold of an evaluation."""
    return (step - 1) // 100  # the last of a fold is at 100 %


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Returns the trial with the highest F1, the first of equals."""
    scored = [(trial.outcome.f1, -trial.index, trial) for trial in trials if trial.outcome]
    return max(scored, key=lambda entry: entry[:2])[2] if scored else None


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials than which no other is both better and not slower, or faster and not worse; by seconds."""
    scored = sorted(
        ((trial.outcome.seconds, -trial.outcome.f1, trial.index, trial) for trial in trials if trial.outcome),
        key=lambda entry: entry[:3],
    )
    front: list[Trial] = []
    best = (float("inf"), float("inf"))  # seconds and -F1 of the front's last
    for seconds, worse, _, trial in scored:
        if worse < best[1] or (seconds, worse) == best:
            front.append(trial)
            best = (seconds, worse)
    return front
