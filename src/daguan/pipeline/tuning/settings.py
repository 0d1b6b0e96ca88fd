"""The settings of `tune`: what is searched, by how many trials, and how they are judged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from daguan.core.settings import Section, require, setting

F1, SECONDS = "f1", "seconds"
OBJECTIVES = {"f1": (F1,), "f1+seconds": (F1, SECONDS)}
PRUNERS = ("none", "median")


class Axis(Section):
    """The values that one setting of the search may take."""

    choices: tuple[Any, ...] = setting((), "A list of values; for a section, of settings that go together.")
    low: float = setting(0.0, "Lower end of a range.")
    high: float = setting(0.0, "Upper end of a range.")
    step: float = setting(0.0, "Distance of the values in the range; 0 for all values.", ge=0)
    log: bool = setting(False, "Whether values are drawn evenly by their logarithm.")
    when: dict[str, Any] = setting(
        {},
        "Settings of the space that come before, and the choice, or list of choices, that they must have; else this "
        "one has its value of the configuration.",
    )

    def check(self) -> None:
        if self.choices:
            ranged = (self.low, self.high, self.step, self.log)
            require("choices", not any(ranged), "choices or low and high, not both", self.choices)
            return
        require("high", self.low < self.high, f"more than low, {self.low:g}", self.high)
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        require("step", not step or (high - low) % step == 0, "a part of high - low", self.step)
        require("log", not (self.log and self.step), "false with a step", self.log)
        require("low", not self.log or self.low > 0, "over 0 with log", self.low)


class TuneSettings(Section):
    """A search of settings by trials, drawn evenly at first, then by TPE (Bergstra et al. 2011)."""

    space: dict[str, Axis] = setting(
        {},
        "What is searched: `section.key: {low: 1e-4, high: 1e-2, log: true}`, `{low: 0, high: 0.5, step: 0.1}` or "
        "`{choices: [a, b]}`, with `when: {model.head: crf}` only where another setting has that choice.",
    )
    trials: int = setting(30, "Number of trials in all; a higher number continues the study.", ge=1)
    member: str = setting("tagger", "The member of the configuration that is varied.")
    folds: int = setting(
        1,
        "Number of folds that a trial trains, one after another; fewer than folds.count, as the best trial is then "
        "scored on the other folds, which chose nothing.",
        ge=1,
    )
    objective: str = setting(
        "f1",
        "f1: strict span F1 over the held-out lines of those folds; f1+seconds: the best F1 for each number of "
        "seconds of pretraining and training (what is drawn then depends on the clock).",
        choices=OBJECTIVES,
    )
    startup: int = setting(10, "Number of first trials that are drawn evenly and that nothing prunes.", ge=1)
    pruner: str = setting(
        "median",
        "none, or median: a trial ends when the best of its evaluations on a fold is below the median of those that "
        "other trials had at the same share of that fold.",
        choices=PRUNERS,
    )
    at_once: int = setting(
        2,
        "Trials under way at a time, over all workers and machines. A trial is drawn and pruned by the trials that "
        "come at least that number before it, and waits for them, so that the study is the same with any number of "
        "workers and interruptions.",
        ge=1,
    )
    workers: int = setting(0, "Workers of this process; 0 for as many as cores and at_once allow.", ge=0)
    timeout: float = setting(0.0, "Minutes after which no trial begins; 0 for no limit.", ge=0)
    storage: str = setting(
        "", "An Optuna storage URL where several machines meet; empty for a file in the study's folder."
    )
