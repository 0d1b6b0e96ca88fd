"""The settings of a budget: how long everything may take, and what is chosen from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daguan.core.settings import require
from daguan.data.augmentation import WAYS

OF_ALL = ("members", "folds.count", "folds.lines")
OF_A_MEMBER = (
    "train.epochs", "train.evaluations", "ngram_crf.iterations", "pretrain.tokens", "vectors.tokens", "vectors.epochs",
    *(f"augmentation.{way}" for way in WAYS),
)  # fmt: skip


@dataclass(frozen=True)
class BudgetSettings:
    """minutes: of wall clock, from raw files to submission; 0: the settings are taken as they stand. With minutes the
    command `prepare` first measures this machine on these data and makes a plan, which every other command then follows
    and nothing makes anew: a run of its own in the work folder, budget-KEY, with plan.json, all that was reckoned, and
    plan.yaml, a preset of plain settings.

    rungs: settings each, from rich to poor; the plan is the first that is reckoned to take at most so large a share of
    the minutes, and four fifths of the memory that can be had, or the last. They may say how much is done (members,
    folds.count, folds.lines, train.epochs, train.evaluations, ngram_crf.iterations, pretrain.tokens, vectors.tokens,
    vectors.epochs, how many lines each way of augmentation adds; of one member in `ensemble`), not how, as each member
    is measured once; what they say overrules the rest of the file and the command line. A rung's pretrain.tokens is the
    least: pretraining gets what time is left, up to so many passes over the text. Rungs that come to the same on these
    data, as those whose folds.lines are more than there are, are one, which stands where the last of them does.

    spare: members that every plan has after those of its rung, unless they start from what that does not make. They are
    not reckoned in it: each is trained last, where time is left for all its folds, at the pace of what was trained.

    The minutes hold while members are trained, too: one that fails or that no longer fits into them is dropped, with a
    line that says so, and the others go on. It is written down in dropped.json beside the plan; without that file it is
    tried again. Pauses between commands do not count."""

    minutes: float = 0.0
    share: float = 0.8
    passes: float = 20.0
    rungs: tuple[dict[str, Any], ...] = ()
    spare: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require("minutes", self.minutes >= 0, "at least 0", self.minutes)
        require("share", 0 < self.share <= 1, "over 0, at most 1", self.share)
        require("passes", self.passes > 0, "over 0", self.passes)
        require("rungs", bool(self.rungs) or not self.minutes, "one or more with budget.minutes", self.rungs)
        for number, rung in enumerate(self.rungs):
            for path in paths(rung):
                fits = path in OF_ALL or path.removeprefix(member_prefix(path)) in OF_A_MEMBER
                require("rungs", fits, f"in rung {number} any of {', '.join((*OF_ALL, *OF_A_MEMBER))}", path)


def paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """`section.key` of all values."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def member_prefix(path: str) -> str:
    """`ensemble.NAME.` where the path begins so."""
    section, _, rest = path.partition(".")
    return f"{section}.{rest.partition('.')[0]}." if section == "ensemble" else ""
