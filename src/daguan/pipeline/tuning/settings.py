"""The settings of `tune`: what is searched, by how many trials, and how they are judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from daguan.core.settings import require

F1, SECONDS = "f1", "seconds"
OBJECTIVES = {"f1": (F1,), "f1+seconds": (F1, SECONDS)}
PRUNERS = ("none", "median")


@dataclass(frozen=True)
class Axis:
    """Which values a setting may take: choices, a list (for a section, of settings that go together); or from low to
    high, evenly or, with log, by its logarithm, or in steps of step. when: other settings of the space that come before
    and the choice, or list of choices, that they must have; else this one keeps its value of the configuration."""

    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    log: bool = False
    when: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.choices:
            ranged = (self.low, self.high, self.step, self.log)
            require("choices", not any(ranged), "choices or low and high, not both", self.choices)
            return
        require("high", self.low < self.high, f"more than low, {self.low:g}", self.high)
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        require("step", not step or (high - low) % step == 0 < step, "a part of high - low", self.step)
        require("log", not (self.log and self.step), "false with a step", self.log)
        require("low", not self.log or self.low > 0, "over 0 with log", self.low)


@dataclass(frozen=True)
class TuneSettings:
    """space: what is searched, `section.key: {low: 1e-4, high: 1e-2, log: true}`, `{low: 0, high: 0.5, step: 0.1}` or
    `{choices: [a, b]}`, with `when: {model.head: crf}` only where another choice is so. trials: how many; more of them
    continue the study. member: which of the configuration is varied. folds: how many of the folds a trial trains, one
    after another.

    objective: f1 (strict span F1 over the held-out lines of those folds), or f1+seconds, which seeks the best F1 for
    each number of seconds (those of pretraining and of training the folds; draws then follow what the clock said).
    startup: trials that are drawn evenly, before the rest are by TPE (Bergstra et al. 2011), and that nothing prunes.
    pruner: none, or median: a trial ends when the best of its evaluations on a fold is below the median of those
    that other trials had at the same share of that fold.

    at_once: trials under way at a time, over all workers and machines: a trial is drawn and pruned by those that many
    and more before it, for which it waits, so that the study is the same by however many workers and however often
    killed. workers: of this process, 0 for as many as cores and at_once allow. timeout: no trial begins after so many
    minutes, 0 for no end. storage: an Optuna storage URL where several machines meet; empty for a file in the study's
    folder."""

    space: dict[str, Axis] = field(default_factory=dict)
    trials: int = 30
    member: str = "tagger"
    folds: int = 1
    objective: str = "f1"
    startup: int = 10
    pruner: str = "median"
    at_once: int = 2
    workers: int = 0
    timeout: float = 0.0
    storage: str = ""

    def __post_init__(self) -> None:
        for name in ("trials", "folds", "startup", "at_once"):
            require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        for name in ("workers", "timeout"):
            require(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        require("objective", self.objective in OBJECTIVES, " or ".join(OBJECTIVES), self.objective)
        require("pruner", self.pruner in PRUNERS, " or ".join(PRUNERS), self.pruner)
