"""The settings of a budget: the time for everything, and how members share it."""

from __future__ import annotations

from daguan.core.settings import Section, require, setting


class BudgetSettings(Section):
    """A limit of time for a whole run, which the command `run` then plans and keeps.

    `members` are in order of worth. As many of them take part as the time serves; each measures its speed in its first
    seconds and fixes the number of its updates from its share of the time, up to train.epochs, ngram_crf.iterations and
    `passes` of pretraining. Every number that is fixed stands in plan.yaml of the run budget-KEY in the work folder, a
    preset that gives the same submission without a clock. Pauses between a kill and the same command do not count."""

    minutes: float = setting(
        0.0, "Minutes of wall clock from raw files to submission; 0 takes the settings as they are.", ge=0
    )
    weights: dict[str, float] = setting(
        {}, "Time for a member as a multiple of what others get, by its name; 1 for members that are not named."
    )
    pretraining: float = setting(
        0.35, "Share of a member's time for pretraining what it starts from, if anything.", ge=0, lt=1
    )
    least_epochs: float = setting(
        3.0,
        "A member takes part if all members up to it then get at least this number of epochs, by an estimate; the "
        "n-gram CRF and the first other member always do.",
        gt=0,
    )
    passes: float = setting(
        20.0, "Most passes of pretraining over the text; 5 by causal, which learns it by heart after them.", gt=0
    )

    def check(self) -> None:
        for member, weight in self.weights.items():
            require(f"weights.{member}", weight > 0, "more than 0", weight)
