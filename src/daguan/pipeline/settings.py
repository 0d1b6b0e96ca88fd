"""The settings of a whole run: every section, each defined beside what it sets, and the members they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from daguan.competition.forecast import PlanSettings
from daguan.competition.rehearsal import RehearseSettings
from daguan.core import settings
from daguan.core.settings import Changes, Section, require, require_read, section, setting, vary
from daguan.data.augmentation import AugmentationSettings
from daguan.data.conflicts import ConflictSettings
from daguan.data.folds import FoldSettings
from daguan.data.people_daily import ContestSettings
from daguan.data.vocabulary import VocabularySettings
from daguan.ensemble.blend_settings import BlendSettings
from daguan.ensemble.distillation import DistilSettings
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.families.pseudo_labels import PseudoLabelSettings
from daguan.families.soup_settings import SoupSettings
from daguan.families.table import FAMILIES
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS, learns, objective_of
from daguan.models.settings import TRAINING_ONLY, ModelSettings
from daguan.nn.tables import OPTIMISERS
from daguan.pipeline.budget.settings import BudgetSettings
from daguan.pipeline.tuning.settings import TuneSettings
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.token_vector_settings import VectorSettings

ROOT = Path(__file__).parents[3]
DEFAULT = ROOT / "configs" / "small.yaml"
STAGES = ("budget", "prepare", "pretrain", "pseudo", "blend", "distil")  # names of their folders
BOARDS = ("plan", "rehearse")  # sections of what is done with submissions
OF_MACHINE = ("engine", "tune", "budget")
SHARED = (
    "name", "members", "ensemble", "data", "contest", "vocabulary", "folds", "blend", "distil", *BOARDS, *OF_MACHINE,
)  # fmt: skip


class DataSettings(Section):
    """Where data, runs and submissions are."""

    dir: str = setting(
        "",
        "A folder with train.txt, test.txt and, if there are such files, corpus.txt and test_gold.txt; empty takes the "
        "built-in contest.",
    )
    work: str = setting(str(ROOT / "data" / "work"), "Where stages keep their runs.")
    submissions: str = setting(str(ROOT / "submissions"), "Where submissions are written.")


class Settings(Section):
    """A configuration: the members to train and blend, and all they depend on."""

    name: str = setting("custom", "Name of the configuration, part of the submission's name.")
    seed: int = setting(2019, "Seed of every named random stream.")
    members: tuple[str, ...] = setting(
        ("tagger", "ngram_crf"), "Members to train and blend: families of models, or names from `ensemble`."
    )
    ensemble: dict[str, Changes[Settings]] = setting(
        {},
        "Members by name, each by the settings that differ: `lstm: {model: {head: lstm_crf}, pretrain: {tokens: 0}}`. "
        "One that has a family's name changes that family.",
    )
    family: str = setting(
        "tagger", "Family of the members that set none and whose name is not a family's.", choices=FAMILIES
    )
    data: DataSettings = section(DataSettings)
    contest: ContestSettings = section(ContestSettings)
    vocabulary: VocabularySettings = section(VocabularySettings)
    folds: FoldSettings = section(FoldSettings)
    encoder: EncoderSettings = section(EncoderSettings)
    vectors: VectorSettings = section(VectorSettings)
    pretrain: PretrainSettings = section(PretrainSettings)
    conflicts: ConflictSettings = section(ConflictSettings)
    augmentation: AugmentationSettings = section(AugmentationSettings)
    pseudo_labels: PseudoLabelSettings = section(PseudoLabelSettings)
    model: ModelSettings = section(ModelSettings)
    train: TrainSettings = section(TrainSettings)
    ngram_crf: NgramCrfSettings = section(NgramCrfSettings)
    soup: SoupSettings = section(SoupSettings)
    blend: BlendSettings = section(BlendSettings)
    distil: DistilSettings = section(DistilSettings)
    plan: PlanSettings = section(PlanSettings)
    rehearse: RehearseSettings = section(RehearseSettings)
    engine: EngineSettings = section(EngineSettings)
    tune: TuneSettings = section(TuneSettings)
    budget: BudgetSettings = section(BudgetSettings)

    def check(self) -> None:
        require("name", re.fullmatch(r"[\w.-]+", self.name) is not None, "letters, digits, '.', '_', '-'", self.name)
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
        base = self.replace(members=(family,), ensemble={}, family=family)
        made = vary(base, self.ensemble.get(name, {}), f"ensemble.{name}")
        return made.replace(members=(made.family,), pretrain=made.pretrain.replace(objective=made.objective))

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
