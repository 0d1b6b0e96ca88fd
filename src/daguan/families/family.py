"""What a family of members is: one class, and one row of the table in families/table.py.

A family says here, without loading any library that computes, what its members need before them and which settings
they depend on; the modules that train, answer and load are imported only when they are used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from daguan.core.tables import Row
from daguan.core.types import Sentence
from daguan.data.marginals import LineMarginals
from daguan.families.fold import FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.member import MemberSettings
from daguan.families.table import FAMILIES
from daguan.training.engine_settings import EngineSettings


@dataclass(frozen=True)
class Model:
    """A trained model of any family.

    Attributes:
        labels: the entity types that it knows.
        marginals: returns one (T,K) array of tag marginals for each sentence, in half precision.
    """

    labels: tuple[str, ...]
    marginals: Callable[[Sequence[Sentence]], list[LineMarginals]]


class Family(ABC):
    """One kind of member.

    Attributes:
        reads: the sections of a member's settings that its result depends on.
        computes_in_precision: whether the result depends on engine.precision.
        uses_gpu: whether its folds compute on a GPU where there is one.
        weighs_lines: whether a training line can count less than another.
        divides: whether several devices train a fold together.
        resumes: whether a killed fold continues from its checkpoint.
        trains_alone: whether a member is trained by itself, so that it can be searched over or distilled into.
        is_baseline: whether it is the contest's official baseline, which a blend should beat. A budget trains it first:
            it is cheap and never diverges.
    """

    reads: ClassVar[tuple[str, ...]]
    computes_in_precision: ClassVar[bool] = True
    uses_gpu: ClassVar[bool] = True
    weighs_lines: ClassVar[bool] = True
    divides: ClassVar[bool] = False
    resumes: ClassVar[bool] = False
    trains_alone: ClassVar[bool] = True
    is_baseline: ClassVar[bool] = False
    needs_setting: ClassVar[str] = "pseudo_labels.teachers"  # the setting that names the members needed before

    def needs(self, settings: MemberSettings) -> tuple[str, ...]:
        """Returns the members whose runs a member with these settings starts from."""
        return settings.pseudo_labels.teachers

    def starts_from_pretraining(self, settings: MemberSettings) -> bool:
        """Returns whether a member starts from what the stage `pretrain` makes."""
        return False

    def check(self, settings: MemberSettings, member: str, needed: Mapping[str, MemberSettings]) -> None:
        """Checks a member's settings beside those of the members that it needs, given by name. Raises ConfigError."""
        return

    @abstractmethod
    def train(self, job: FoldJob, data: FoldData, report: Report) -> FoldResult:
        """Trains one fold, saves its model in the job's folder, and answers the held-out and the test lines."""

    @abstractmethod
    def holds(self, folder: Path) -> bool:
        """Returns whether the folder has a model of this family."""

    @abstractmethod
    def load(self, folder: Path, engine: EngineSettings) -> Model:
        """Returns the trained model in a folder. Raises CheckpointError: damaged."""

    def evaluations(self, settings: MemberSettings) -> int:
        """Returns how often a fold is scored in training, its end included."""
        return 1

    def rows(self, settings: MemberSettings) -> tuple[Row, ...]:
        """Returns rows of tables that a member's code follows from, beside those that single settings name."""
        return ()


@cache
def family_of(name: str) -> Family:
    """Returns the family of that name."""
    found: Family = FAMILIES[name].load()()
    return found


def baseline_family() -> str:
    """Returns the name of the family that is the contest's official baseline."""
    (found,) = (name for name in FAMILIES if family_of(name).is_baseline)
    return found


def family_in(folder: Path) -> Family | None:
    """Returns the family whose model is in a folder, None where there is no model."""
    return next((family for family in map(family_of, FAMILIES) if family.holds(folder)), None)
