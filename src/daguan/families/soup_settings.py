"""The settings of a soup: which taggers' weights are averaged."""

from __future__ import annotations

from daguan.core.settings import Section, require, setting


class SoupSettings(Section):
    """A member of family soup: the average of other members' weights (Wortsman et al. 2022, arXiv 2203.05482)."""

    members: tuple[str, ...] = setting(
        (),
        "Taggers whose weights are averaged, fold by fold. They have one encoder, head, pretraining and seed, so that "
        "they start from the same weights; the rest (rates, dropouts, epochs, augmentation, train.seed …) may differ.",
    )

    def check(self) -> None:
        require("members", len(set(self.members)) == len(self.members), "distinct members", self.members)
