"""The family of soups: members whose weights are the average of those of taggers that other members trained (Wortsman
et al. 2022, arXiv 2203.05482)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from daguan.core.settings import require
from daguan.families.family import Family, Model, family_of
from daguan.families.fold import FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.member import MemberSettings
from daguan.families.tagger import TaggerFamily
from daguan.models.settings import TRAINING_ONLY
from daguan.training.engine_settings import EngineSettings


class SoupFamily(Family):
    """Averages of taggers with the same first weights. What computes is in families/soup_fold.py."""

    reads: ClassVar[tuple[str, ...]] = ("soup",)
    weighs_lines: ClassVar[bool] = False
    trains_alone: ClassVar[bool] = False
    needs_setting: ClassVar[str] = "soup.members"

    def needs(self, settings: MemberSettings) -> tuple[str, ...]:
        return settings.soup.members

    def check(self, settings: MemberSettings, member: str, needed: Mapping[str, MemberSettings]) -> None:
        """Raises ConfigError: no members, members that start from different weights, or a soup with teachers."""
        place = f"{self.needs_setting} of {member}"
        require(place, bool(settings.soup.members), "one or more", settings.soup.members)
        teachers = settings.pseudo_labels.teachers
        require(f"pseudo_labels.teachers of {member}", not teachers, "none with family soup", teachers)
        starts = {name: _first_weights(made) for name, made in needed.items()}
        first = settings.soup.members[0]
        for name, start in starts.items():
            require(place, isinstance(family_of(needed[name].family), TaggerFamily), "taggers", name)
            for setting, value in start.items():
                expected = f"members that start alike, with one {setting}"
                require(place, value == starts[first][setting], expected, f"{first} and {name}, which differ in it")

    def train(self, job: FoldJob, data: FoldData, report: Report) -> FoldResult:
        from daguan.families.soup_fold import train

        return train(job, data, report)

    def holds(self, folder: Path) -> bool:
        return False  # what it leaves is a tagger

    def load(self, folder: Path, engine: EngineSettings) -> Model:
        return TaggerFamily().load(folder, engine)


def _first_weights(settings: MemberSettings) -> dict[str, Any]:
    """Returns the settings that a tagger's shape, its first weights and its way to answer follow from."""
    model = {f"model.{name}": value for name, value in dict(settings.model).items() if name not in TRAINING_ONLY}
    return {name: getattr(settings, name) for name in ("family", "seed", "encoder", "vectors", "pretrain")} | model
