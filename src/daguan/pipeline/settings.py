"""The settings of a configuration: those of its members, and all that its members share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from daguan.competition.settings import PlanSettings, RehearseSettings
from daguan.core import settings
from daguan.core.errors import ConfigError
from daguan.core.quantity import quantity
from daguan.core.setting_errors import suggestion
from daguan.core.settings import Changes, Section, require, section, setting, vary
from daguan.core.tables import readers_of
from daguan.data.folds import FoldSettings
from daguan.data.people_daily import ContestSettings
from daguan.data.vocabulary import VocabularySettings
from daguan.ensemble.blend_settings import BlendSettings
from daguan.ensemble.distillation import DistilSettings
from daguan.families.family import family_of
from daguan.families.member import MemberSettings
from daguan.families.pseudo_labels import PseudoLabelSettings
from daguan.families.table import FAMILIES
from daguan.models.encoders.table import ENCODERS
from daguan.nn.tables import WITHOUT_MATRICES
from daguan.pipeline.budget.settings import BudgetSettings
from daguan.pipeline.engines.curves import require_tensorboard
from daguan.pipeline.engines.table import ENGINES
from daguan.pipeline.tuning.settings import TuneSettings
from daguan.training.engine_settings import EngineSettings

PRESETS = next(
    folder
    for folder in (Path(__file__).parents[1] / "configs", Path(__file__).parents[3] / "configs")
    if folder.is_dir()
)  # of the installed package, else of the repository that holds this file
DEFAULT = "small"
SUFFIXES = (".yaml", ".yml")
LONGEST_MEMBER = 200  # bytes


class DataSettings(Section):
    """Where data, runs and submissions are."""

    dir: str = setting(
        "",
        "A folder with train.txt, test.txt and, if there are such files, corpus.txt and test_gold.txt; or data in "
        "another format, as the command import reads it; empty takes the built-in contest.",
        is_path=True,
    )
    corrections: str = setting(
        "", "A corrections.jsonl that a report exported: `prepare` labels the training lines so.", is_path=True
    )
    work: str = setting("data/work", "Where stages keep their runs.", is_path=True)
    submissions: str = setting("submissions", "Where submissions are written.", is_path=True)
    accept_code: bool = setting(
        False, "Whether to take finished runs that other code made of the same data and settings; they then say so."
    )


class Settings(MemberSettings):
    """A configuration: the members to train and blend, the settings that they start from, and all that they share."""

    name: str = setting("custom", "Name of the configuration, part of the submission's name.")
    members: tuple[str, ...] = setting(
        ("tagger", "ngram_crf"), "Members to train and blend: families of models, or names from `ensemble`."
    )
    ensemble: dict[str, Changes[Settings]] = setting(
        {},
        "Members by name, each by the settings that differ: `lstm: {model: {head: lstm_crf}, pretrain: {tokens: 0}}`. "
        "One that has a family's name changes that family.",
    )
    data: DataSettings = section(DataSettings)
    contest: ContestSettings = section(ContestSettings)
    vocabulary: VocabularySettings = section(VocabularySettings)
    folds: FoldSettings = section(FoldSettings)
    blend: BlendSettings = section(BlendSettings)
    distil: DistilSettings = section(DistilSettings)
    plan: PlanSettings = section(PlanSettings)
    rehearse: RehearseSettings = section(RehearseSettings)
    engine: EngineSettings = section(EngineSettings)
    tune: TuneSettings = section(TuneSettings)
    budget: BudgetSettings = section(BudgetSettings)

    def check(self) -> None:
        require("name", re.fullmatch(r"[\w.-]+", self.name) is not None, "letters, digits, '.', '_', '-'", self.name)
        self._check_engine()
        require("members", len(self.members) > 0, "one or more", self.members)
        require("members", len(set(self.members)) == len(self.members), "each once", self.members)
        for member in self.members:
            require("members", member in self.known, " or ".join(self.known), member)
        super().check()
        for member in self.ensemble:
            self._check_name(member)
        made = {name: self.member(name) for name in dict.fromkeys([*self.ensemble, *self.members])}
        for name, its in made.items():
            fits = len(its.updates) in (0, self.folds.count)
            require(
                "updates", fits, f"none of {name}, or one for each of {quantity(self.folds.count, 'fold')}", its.updates
            )
        for one, other in combinations(self.members, 2):
            differ = made[one] != made[other]
            require("members", differ, "members that differ in a setting", f"{one} and {other}, alike")

    def _check_engine(self) -> None:
        """Raises ConfigError: no such engine, or a setting that this one does not read."""
        kind, defaults = self.engine.kind, EngineSettings()
        require("engine.kind", kind in ENGINES, " or ".join(ENGINES), kind)
        for name in dict.fromkeys(name for row in ENGINES.values() for name in row.reads):
            value, default, readers = getattr(self.engine, name), getattr(defaults, name), readers_of(ENGINES, name)
            expected = f"{default!r} unless engine.kind is {' or '.join(readers)}"
            require(f"engine.{name}", kind in readers or value == default, expected, value)

    @property
    def known(self) -> list[str]:
        """The names that a member may have."""
        return list(dict.fromkeys([*FAMILIES, *self.ensemble]))

    @property
    def trained(self) -> list[str]:
        """The members and all they need, each after what it needs."""
        return list(dict.fromkeys(name for member in self.members for name in self.with_needs(member)))

    def needs_of(self, member: str) -> tuple[str, ...]:
        """Returns the members whose runs a member starts from."""
        made = self.member(member)
        return family_of(made.family).needs(made)

    def with_needs(self, member: str, asked_by: tuple[str, ...] = ()) -> list[str]:
        """Returns all that a member needs, and the member. Raises ConfigError: no such member, one that needs itself,
        or one that its family cannot make of these."""
        place = self._place_of_needs(asked_by[-1]) if asked_by else "members"
        require(place, member in self.known, " or ".join(self.known), member)
        require(place, member not in asked_by, "members that do not need this one", member)
        needs = self.needs_of(member)
        found = [name for need in needs for name in self.with_needs(need, (*asked_by, member))]
        made = self.member(member)
        family_of(made.family).check(made, member, {name: self.member(name) for name in needs})
        return [*found, member]

    def _place_of_needs(self, member: str) -> str:
        return f"{family_of(self.member(member).family).needs_setting} of {member}"

    def _check_name(self, member: str) -> None:
        """Raises ConfigError: no name for a member of the ensemble, or a change of what all members share."""
        named = re.fullmatch(r"[\w-]+", member) is not None
        require("ensemble", named, "names of letters, digits, '_', '-'", member)
        fits = len(member.encode()) <= LONGEST_MEMBER
        require("ensemble", fits, f"names of at most {LONGEST_MEMBER} bytes, as folders are named after them", member)
        for key in self.ensemble[member]:
            require(f"ensemble.{member}.{key}", key not in SHARED, f"the same {key} for all members", "one of its own")

    @cached_property
    def made_members(self) -> dict[str, MemberSettings]:
        """The settings of members that were asked for before."""
        return {}

    def member(self, name: str) -> MemberSettings:
        """Returns the settings of that member, with the family and the objective that they leave open."""
        if name not in self.made_members:
            self.made_members[name] = self._make_member(name)
        return self.made_members[name]

    def _make_member(self, name: str) -> MemberSettings:
        family = name if name in FAMILIES else self.family
        base = MemberSettings(**{key: getattr(self, key) for key in MemberSettings.model_fields} | {"family": family})
        made = vary(base, self.ensemble.get(name, {}), f"ensemble.{name}")
        return made.replace(pretrain=made.pretrain.replace(objective=made.objective))

    def with_changes(self, member: str, changes: Mapping[str, Any], place: str) -> Settings:
        """Returns these settings with that member changed: in the ensemble if it has a place there. Raises
        ConfigError."""
        return vary(self, {"ensemble": {member: changes}} if member in self.ensemble else changes, place)


SHARED = tuple(name for name in Settings.model_fields if name not in MemberSettings.model_fields)


class PredictSettings(Section):
    """The settings of `predict`."""

    engine: EngineSettings = section(EngineSettings)


def presets() -> list[str]:
    """Returns the names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def named_configuration(words: list[str]) -> tuple[str, list[str]]:
    """Returns the configuration that `[CONFIG] [key=value …]` name, the default preset if none, and the changes."""
    if words and ("=" not in words[0] or (words[0].endswith(SUFFIXES) and Path(words[0]).is_file())):
        return words[0], words[1:]
    return DEFAULT, words


def configuration_file(name: str) -> Path:
    """Returns the file of the preset of that name, else that path. Raises ConfigError: neither exists."""
    if name in presets():
        return PRESETS / f"{name}.yaml"
    path = Path(name)
    if path.suffix not in SUFFIXES and not path.is_file():
        raise ConfigError(f"{name}: no such preset and no such file{suggestion(name, presets())}")
    return path


def load(words: list[str]) -> Settings:
    """Returns the settings of `[CONFIG] [key=value …]`, where CONFIG is the name of a preset or a file; without one, of
    the default preset. A command that follows a budget's plan takes `load` of pipeline/budget/plan.py. Raises
    ConfigError."""
    name, changes = named_configuration(words)
    found = settings.load(Settings, configuration_file(name), changes)
    for member in (*found.ensemble, *found.members):
        found.with_needs(member)
    _require_learnt(found)
    require_tensorboard(found.engine)
    for member in found.trained:
        made = found.member(member)
        if family_of(made.family).divides:
            most = made.train.accumulation
            expected = f"at most train.accumulation of {member}, {most}, as each device needs a batch"
            require("engine.devices", found.engine.devices <= most, expected, found.engine.devices)
            if found.engine.shard:
                _require_shares(member, made, found.engine.devices)
        if made.pseudo_labels.teachers:
            require_weighed("pseudo_labels", made.family, made.pseudo_labels, f" of {member}")
    return found


def _require_shares(member: str, made: MemberSettings, devices: int) -> None:
    """Raises ConfigError: what trains the member cannot keep its weights in shares."""
    pretrained = bool(made.pretrain.tokens) and ENCODERS[made.model.encoder].pretrained
    chosen = {"train.optimiser": made.train.optimiser}
    if pretrained:
        chosen["pretrain.optimiser"] = made.pretrain.optimiser
    for place, optimiser in chosen.items():
        expected = f"{' or '.join(WITHOUT_MATRICES)} with engine.shard, as others need whole matrices"
        require(f"{place} of {member}", optimiser in WITHOUT_MATRICES, expected, optimiser)
    blocks, expected = made.pretrain.batch_size, f"at least {devices} with engine.shard, a block for each device"
    require(f"pretrain.batch_size of {member}", blocks >= devices or not pretrained, expected, blocks)


def _require_learnt(found: Settings) -> None:
    """Raises ConfigError: no member's encoder learns by the objective given."""
    asked = found.pretrain.objective
    pretrained = [name for name, row in ENCODERS.items() if row.pretrained]
    learnt = not asked or any(found.member(name).model.encoder in pretrained for name in found.known)
    require("pretrain.objective", learnt, f"'' unless model.encoder is {' or '.join(pretrained)}", asked)


def require_weighed(section: str, family: str, asked: PseudoLabelSettings, of: str = "") -> None:
    """Raises ConfigError: the family cannot weigh lines, or read one draw of their labels after another."""
    weighs = family_of(family).weighs_lines
    expected = f"1 with family {family}, which cannot weigh lines"
    require(f"{section}.weight{of}", weighs or asked.weight == 1, expected, asked.weight)
    expected = f"0 or 1 with family {family}, which makes no passes over lines"
    require(f"{section}.draws{of}", weighs or asked.draws <= 1, expected, asked.draws)
