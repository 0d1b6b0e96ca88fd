"""The settings of a whole run: every section, each defined beside what it sets, and the members they make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

from daguan.competition.forecast import PlanSettings
from daguan.competition.rehearsal import RehearseSettings
from daguan.core import settings
from daguan.core.settings import Changes, Need, require, require_read, vary
from daguan.core.tables import readers_of
from daguan.data.augmentation import AugmentationSettings
from daguan.data.conflicts import ConflictSettings
from daguan.data.folds import FoldSettings
from daguan.data.people_daily import ContestSettings
from daguan.data.vocabulary import VocabularySettings
from daguan.ensemble.blending import BlendSettings
from daguan.ensemble.distillation import DistilSettings
from daguan.families.jobs import FAMILIES
from daguan.families.ngram_crf import NgramCrfSettings
from daguan.families.pseudo_labels import PseudoLabelSettings
from daguan.families.soup import SoupSettings
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS, learns, objective_of
from daguan.models.settings import TRAINING_ONLY, ModelSettings
from daguan.nn.tables import OPTIMISERS
from daguan.pipeline.budget.settings import BudgetSettings
from daguan.pipeline.tuning.settings import TuneSettings
from daguan.training.devices import EngineSettings
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretraining import PretrainSettings
from daguan.training.token_vector_settings import VectorSettings

ROOT = Path(__file__).parents[3]
DEFAULT = ROOT / "configs" / "small.yaml"
STAGES = ("budget", "prepare", "pretrain", "pseudo", "blend", "distil")  # names of their folders
BOARDS = ("plan", "rehearse")  # sections of what is done with submissions
OF_MACHINE = ("engine", "tune", "budget")
SHARED = (
    "name", "members", "ensemble", "data", "contest", "vocabulary", "folds", "blend", "distil", *BOARDS, *OF_MACHINE,
)  # fmt: skip


@dataclass(frozen=True)
class DataSettings:
    """dir: a folder with train.txt, test.txt and, if there are, corpus.txt and test_gold.txt; empty takes the
    built-in contest. work: where stages keep their runs. submissions: where submissions go."""

    dir: str = ""
    work: str = str(ROOT / "data" / "work")
    submissions: str = str(ROOT / "submissions")


def _across_sections() -> Iterator[Need[Settings]]:
    """What one section reads by what another says."""
    for name in dict.fromkeys(name for row in ENCODERS.values() for name in row.reads):
        yield _of_encoders(f"encoder.{name}", readers_of(ENCODERS, name))
    yield _of_encoders("vectors.kind", tuple(name for name, entry in ENCODERS.items() if not entry.pretrained))
    for name in dict.fromkeys(name for row in OBJECTIVES.values() for name in row.reads):
        yield _of_objectives(f"pretrain.{name}", readers_of(OBJECTIVES, name))
    yield Need("model.r_drop", "model.dropout or another dropout is over 0", _is_noisy)


def _of_encoders(setting: str, readers: tuple[str, ...]) -> Need[Settings]:
    return Need(setting, f"model.encoder is {' or '.join(readers)}", lambda made: made.model.encoder in readers)


def _of_objectives(setting: str, readers: tuple[str, ...]) -> Need[Settings]:
    return Need(setting, f"pretrain.objective is {' or '.join(readers)}", lambda made: made.objective in readers)


def _is_noisy(made: Settings) -> bool:
    """Do two passes in training differ?"""
    model, encoder = made.model, made.encoder
    ngrams = (model.ngram_buckets and model.ngram_dropout, encoder.ngram_buckets and encoder.ngram_dropout)
    return any((model.encoder_dropout, model.dropout, model.token_dropout, *ngrams))


@dataclass(frozen=True)
class Settings:
    """name: of the configuration, part of the submission's name. seed: of every named random stream. members: what to
    train and blend, families of models or names from `ensemble`. ensemble: members of another make, each by the
    settings that differ: `lstm: {model: {head: lstm_crf}, pretrain: {tokens: 0}}`; one that is called as a family
    changes that. family: of those that have no family's name and do not say."""

    name: str = "custom"
    seed: int = 2019
    members: tuple[str, ...] = ("tagger", "ngram_crf")
    ensemble: dict[str, Changes[Settings]] = field(default_factory=dict)
    family: str = "tagger"
    data: DataSettings = field(default_factory=DataSettings)
    contest: ContestSettings = field(default_factory=ContestSettings)
    vocabulary: VocabularySettings = field(default_factory=VocabularySettings)
    folds: FoldSettings = field(default_factory=FoldSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    conflicts: ConflictSettings = field(default_factory=ConflictSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    pseudo_labels: PseudoLabelSettings = field(default_factory=PseudoLabelSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    ngram_crf: NgramCrfSettings = field(default_factory=NgramCrfSettings)
    soup: SoupSettings = field(default_factory=SoupSettings)
    blend: BlendSettings = field(default_factory=BlendSettings)
    distil: DistilSettings = field(default_factory=DistilSettings)
    plan: PlanSettings = field(default_factory=PlanSettings)
    rehearse: RehearseSettings = field(default_factory=RehearseSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    # not encoder.heads and encoder.feed_forward, of a size that presets set for encoders that have none too
    NEEDS: ClassVar[tuple[Need[Settings], ...]] = tuple(_across_sections())

    def __post_init__(self) -> None:
        require("name", re.fullmatch(r"[\w.-]+", self.name) is not None, "letters, digits, '.', '_', '-'", self.name)
        require("family", self.family in FAMILIES, " or ".join(FAMILIES), self.family)
        distinct = len(set(self.members)) == len(self.members) > 0
        require("members", distinct, "one or more", self.members)
        for member in self.members:
            require("members", member in self.known, " or ".join(self.known), member)
        require_read(self)
        self._require_followed()
        for member in self.ensemble:
            self._check(member)
        for one, other in combinations(self.members, 2):
            differ = self.member(one) != self.member(other)
            require("members", differ, "members that differ in a setting", f"{one} and {other}, alike")

    @property
    def known(self) -> list[str]:
        """What may be a member."""
        return list(dict.fromkeys([*FAMILIES, *self.ensemble]))

    @property
    def needs(self) -> tuple[str, ...]:
        """The members whose runs a member with these settings starts from."""
        return self.soup.members if self.family == "soup" else self.pseudo_labels.teachers

    @property
    def objective(self) -> str:
        """What the encoder is pretrained by, if it is."""
        return objective_of(self.model.encoder, self.pretrain.objective)

    @property
    def start(self) -> dict[str, Any]:
        """What a tagger's shape, its first weights and how it answers follow from."""
        model = {f"model.{name}": value for name, value in vars(self.model).items() if name not in TRAINING_ONLY}
        sections = {name: getattr(self, name) for name in ("family", "seed", "encoder", "vectors", "pretrain")}
        return sections | model

    @property
    def trained(self) -> list[str]:
        """The members and all they need, each after what it needs."""
        return list(dict.fromkeys(name for member in self.members for name in self.with_needs(member)))

    def with_needs(self, member: str, asked_by: tuple[str, ...] = ()) -> list[str]:
        """All that the member needs, and the member. Raises ConfigError: no such member, one that needs itself, or a
        soup of what cannot be averaged."""
        place = self._place_of_needs(asked_by[-1]) if asked_by else "members"
        require(place, member in self.known, " or ".join(self.known), member)
        require(place, member not in asked_by, "members that do not need this one", member)
        made = self.member(member)
        found = [name for need in made.needs for name in self.with_needs(need, (*asked_by, member))]
        if made.family == "soup":
            self._require_one_start(member)
        return [*found, member]

    def _place_of_needs(self, member: str) -> str:
        setting = "soup.members" if self.member(member).family == "soup" else "pseudo_labels.teachers"
        return f"{setting} of {member}"

    def _require_one_start(self, soup: str) -> None:
        """What a soup averages are taggers with the same first weights; it is taught by nobody."""
        place, made = self._place_of_needs(soup), self.member(soup)
        require(place, bool(made.soup.members), "one or more", made.soup.members)
        teachers = made.pseudo_labels.teachers
        require(f"pseudo_labels.teachers of {soup}", not teachers, "none with family soup", teachers)
        starts = {member: self.member(member).start for member in made.soup.members}
        first = made.soup.members[0]
        for member, start in starts.items():
            require(place, start["family"] == "tagger", "taggers", member)
            for name, value in start.items():
                expected = f"members that start alike, with one {name}"
                require(place, value == starts[first][name], expected, f"{first} and {member}, which differ in it")

    def _require_followed(self) -> None:
        """No setting is given that the encoder cannot follow: better here than in a worker after hours of
        pretraining."""
        encoder, size = self.model.encoder, self.encoder
        expected = f"a folder with model.encoder={encoder}, which is what a checkpoint holds"
        fits = ENCODERS[encoder].from_scratch or bool(size.checkpoint)
        require("encoder.checkpoint", fits, expected, size.checkpoint)
        layers = ENCODERS[encoder].layers(size)
        fits = bool(size.checkpoint) or self.train.frozen_layers <= layers
        require("train.frozen_layers", fits, f"at most {layers}, the encoder's layers", self.train.frozen_layers)
        fits = ENCODERS[encoder].for_muon or self.train.optimiser != "muon"
        others = " or ".join(name for name in OPTIMISERS if name != "muon")
        require("train.optimiser", fits, f"{others} with model.encoder={encoder}", self.train.optimiser)
        fits = not self.pretrain.tokens or not ENCODERS[encoder].pretrained or learns(encoder, self.objective)
        expected = f"{' or '.join(name for name in OBJECTIVES if learns(encoder, name))} with model.encoder={encoder}"
        require("pretrain.objective", fits, expected, self.objective)
        fits = not size.checkpoint or not OBJECTIVES[self.objective].generator  # sizes may differ from the generator's
        require("pretrain.objective", fits, "mlm, alone or with + with encoder.checkpoint", self.objective)

    def _check(self, member: str) -> None:
        """A member of the ensemble, whether it takes part or not."""
        named = re.fullmatch(r"[\w-]+", member) is not None and member not in STAGES
        require("ensemble", named, f"names of letters, digits, '_', '-', and not {', '.join(STAGES)}", member)
        for key in self.ensemble[member]:
            require(f"ensemble.{member}.{key}", key not in SHARED, f"the same {key} for all members", "one of its own")
        self.member(member)

    def member(self, name: str) -> Settings:
        """The settings that make that member, of the family it says, with the objective that its encoder learns by."""
        family = name if name in FAMILIES else self.family
        base = replace(self, members=(family,), ensemble={}, family=family)
        made = vary(base, self.ensemble.get(name, {}), f"ensemble.{name}")
        return replace(made, members=(made.family,), pretrain=replace(made.pretrain, objective=made.objective))

    def with_changes(self, member: str, changes: Mapping[str, Any], place: str) -> Settings:
        """With that member changed: in its place in the ensemble if it has one. Raises ConfigError."""
        return vary(self, {"ensemble": {member: changes}} if member in self.ensemble else changes, place)


def load(words: list[str]) -> Settings:
    """`[CONFIG.yaml] [key=value …]`; without a file, the default preset. As they stand: commands that follow a budget's
    plan take `load` of pipeline/budget/plan.py. Raises ConfigError."""
    path = DEFAULT
    if words and "=" not in words[0]:
        path, words = Path(words[0]), words[1:]
    found = settings.load(Settings, path, words)
    for member in (*found.ensemble, *found.members):
        found.with_needs(member)
    _require_learnt(found)
    for member in found.trained:
        made = found.member(member)
        if made.pseudo_labels.teachers:
            require_weighed(f"pseudo_labels.weight of {member}", made.family, made.pseudo_labels.weight)
    return found


def _require_learnt(found: Settings) -> None:
    """Some encoder learns by the objective given, if not every member's. Raises ConfigError."""
    asked = found.pretrain.objective
    pretrained = [name for name, entry in ENCODERS.items() if entry.pretrained]
    learnt = not asked or any(found.member(name).model.encoder in pretrained for name in found.known)
    require("pretrain.objective", learnt, f"'' unless model.encoder is {' or '.join(pretrained)}", asked)


def require_weighed(place: str, family: str, weight: float) -> None:
    """Raises ConfigError: the family cannot weigh lines."""
    weighs = family != "ngram_crf" or weight == 1
    require(place, weighs, "1 with family ngram_crf, which cannot weigh lines", weight)
