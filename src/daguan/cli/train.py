"""train [CONFIG] [key=value …]: train every member through the same folds, in local worker processes.

Members with pseudo_labels.teachers come after their teachers, who label lines for them first. Under a budget a member
that fails, or that no longer fits into the minutes, is dropped, and the others go on.
"""

from __future__ import annotations

from daguan.pipeline import train
from daguan.pipeline.budget.plan import supervised


def main(words: list[str]) -> None:
    with supervised(words) as (settings, supervisor):
        train.train(settings, supervisor)
