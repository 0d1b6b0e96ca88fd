"""The settings of a soup: which taggers' weights are averaged, and how they are chosen."""

from __future__ import annotations

from daguan.core.settings import Section, require, setting
from daguan.core.tables import Row

CHOICES = {"uniform": Row("daguan.families.soup_fold:uniform"), "greedy": Row("daguan.families.soup_fold:greedy")}


class SoupSettings(Section):
    """A member of family soup: the average of other members' weights (Wortsman et al. 2022, arXiv 2203.05482)."""

    members: tuple[str, ...] = setting(
        (),
        "Taggers whose weights are averaged, fold by fold. They have one encoder, head, pretraining and seed, so that "
        "they start from the same weights; the rest (rates, dropouts, epochs, augmentation, train.seed …) may differ.",
    )
    choice: str = setting(
        "uniform",
        "uniform, the average of all; or greedy: in order of their span F1 on the fold's held-out lines, each is added "
        "where the average's F1 does not fall (§2). Greedy chooses on the lines it is scored on, so its out-of-fold "
        "score is optimistic.",
        choices=CHOICES,
    )

    def check(self) -> None:
        require("members", len(set(self.members)) == len(self.members), "distinct members", self.members)
