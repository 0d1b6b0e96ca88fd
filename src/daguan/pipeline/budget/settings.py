"""The settings of a budget: the time for everything, and the configurations to choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daguan.core.settings import Section, require, setting
from daguan.data.augmentation import WAYS

OF_ALL = ("members", "folds.count", "folds.lines")
OF_A_MEMBER = (
    "train.epochs", "train.evaluations", "ngram_crf.iterations", "pretrain.tokens", "vectors.tokens", "vectors.epochs",
    *(f"augmentation.{way}" for way in WAYS),
)  # fmt: skip


class BudgetSettings(Section):
    """A limit of time. While members are trained, one that fails or no longer fits is dropped with a message, and the
    others continue. dropped.json beside the plan names it; delete that file to try it again. Pauses between commands do
    not count.

    With minutes, `prepare` first measures this machine on these data and makes a plan, which all other commands follow:
    a run budget-KEY in the work folder with plan.json, all that was estimated, and plan.yaml, a preset."""

    minutes: float = setting(
        0.0, "Minutes of wall clock from raw files to submission; 0 takes the settings as they are.", ge=0
    )
    share: float = setting(0.8, "Share of the minutes that a plan may use by its own estimate.", gt=0, le=1)
    passes: float = setting(20.0, "Most passes of pretraining over the text.", gt=0)
    rungs: tuple[dict[str, Any], ...] = setting(
        (),
        "Alternatives, from rich to poor: the plan is the first whose estimate fits into share of the minutes and "
        "four fifths of the available memory, or the last. A rung may set how much is done (members, folds.count, "
        "folds.lines, train.epochs, train.evaluations, ngram_crf.iterations, pretrain.tokens, vectors.tokens, "
        "vectors.epochs, the shares of augmentation; of one member in `ensemble`), not how, as each member is "
        "measured once; it overrules the file and the command line. Its pretrain.tokens is the least: pretraining "
        "gets the time that remains, up to `passes`. Where rungs are equal on these data, such "
        "as those whose folds.lines exceed the lines, only the last counts.",
    )
    spare: tuple[str, ...] = setting(
        (),
        "Members that every plan has after those of its rung, unless they start from a member that it lacks. They are "
        "not in its estimate: each is trained last, if there is time for all its folds at the speed measured in "
        "training.",
    )

    def check(self) -> None:
        require("rungs", bool(self.rungs) or not self.minutes, "one or more with budget.minutes", self.rungs)
        for number, rung in enumerate(self.rungs):
            for path in paths(rung):
                fits = path in OF_ALL or path.removeprefix(member_prefix(path)) in OF_A_MEMBER
                require("rungs", fits, f"in rung {number} any of {', '.join((*OF_ALL, *OF_A_MEMBER))}", path)


def paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yields `section.key` of all values."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def member_prefix(path: str) -> str:
    """Returns `ensemble.NAME.` if the path begins with it."""
    section, _, rest = path.partition(".")
    return f"{section}.{rest.partition('.')[0]}." if section == "ensemble" else ""
