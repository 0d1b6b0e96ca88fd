"""Estimates what members need, before their own jobs have measured it: the tasks of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from daguan.core.types import labels_of
from daguan.families.family import family_of
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline.budget.allotment import FOLD, PRETRAIN, Task
from daguan.pipeline.pretrain import starts_of
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages

STARTING = 10.0  # seconds until a process has loaded what it needs, and has written its model
SPEED = 3_000.0  # tokens a second of pretraining, by one worker, where nothing is pretrained that measures it
# speeds as multiples of that of pretraining; the n-gram CRF's is of tokens times iterations
FINE_TUNING, LABELLING, VECTORS, NGRAM_CRF = 0.8, 4.0, 30.0, 200.0
TEXT_FEATURES = 3.0  # times that an iteration of the n-gram CRF takes with them
# seconds of a blend: to load, for each entity in each fold and once more, for each token of each member and once more
BLEND, BLEND_ENTITY, BLEND_TOKEN = 7.0, 0.2e-3, 12e-6
ENTITIES = 60_000  # entities that a stack learns from, at most
TYPES = 12  # this number of further types doubles the cost of a token


@dataclass(frozen=True)
class Sizes:
    """The sizes of the data.

    Attributes:
        tokens: of the training lines that take part.
        text_tokens: of all the text that pretraining reads.
    """

    lines: int
    tokens: int
    entities: int
    types: int
    test_tokens: int
    text_tokens: int
    folds: int

    @classmethod
    def of(cls, stages: Stages) -> Sizes:
        """Returns the sizes of a prepared contest."""
        train, test = stages.prepared.train, stages.prepared.test
        return cls(
            lines=len(train),
            tokens=sum(len(sentence.tokens) for sentence in train),
            entities=sum(len(sentence.gold) for sentence in train),
            types=len(labels_of(train)),
            test_tokens=sum(len(sentence.tokens) for sentence in test),
            text_tokens=stages.prepare.manifest()["report"]["corpus"]["tokens"],
            folds=stages.settings.folds.count,
        )

    @property
    def fold_tokens(self) -> float:
        """The tokens that one fold trains on."""
        return self.tokens * (1 - 1 / self.folds)

    def blend_seconds(self, members: int) -> float:
        """Returns the seconds that a blend of that number of members takes."""
        each = BLEND_TOKEN * (1 + self.types / TYPES) * (members + 1)
        return (
            BLEND
            + BLEND_ENTITY * (self.folds + 1) * min(ENTITIES, self.entities)
            + each * (self.tokens + self.test_tokens)
        )


def is_pretrained(settings: Settings, member: str) -> bool:
    """Returns whether a member starts from an encoder that reads text for as long as one likes."""
    made = settings.member(member)
    return ENCODERS[made.model.encoder].pretrained and family_of(made.family).starts_from_pretraining(made)


def is_baseline(settings: Settings, member: str) -> bool:
    return family_of(settings.member(member).family).is_baseline


def epoch_seconds(settings: Settings, member: str, sizes: Sizes, speed: float) -> float:
    """Returns the seconds of an epoch, or an iteration of an n-gram CRF, of one fold.

    speed: tokens a second of pretraining.
    """
    if not is_baseline(settings, member):
        return sizes.fold_tokens / (speed * FINE_TUNING)
    times = TEXT_FEATURES if settings.member(member).ngram_crf.text_features else 1.0
    return times * sizes.fold_tokens / (speed * NGRAM_CRF)


def tasks_of(stages: Stages, members: Sequence[str], sizes: Sizes, speed: float) -> list[Task]:
    """Returns the tasks of these members in the order in which they begin.

    Pretrainings are long and come first, but only one of them before the n-gram CRF, which is cheap and safe. A
    finished run has no tasks.
    """
    settings, budget = stages.settings, stages.settings.budget
    starts = starts_of(stages, members)
    first = {run.key: member for member, run in starts.items()}
    pretrainings = []
    for member, run in starts.items():
        made, weight = settings.member(member), budget.weights.get(member, 1.0)
        if run.finished:
            continue
        if is_pretrained(settings, member):
            share, most = budget.pretraining * weight, made.pretrain.tokens / speed
        else:
            read = min(made.vectors.tokens or sizes.text_tokens, sizes.text_tokens) * made.vectors.epochs
            share, most = 1e9, read / (VECTORS * speed)
        pretrainings.append(Task(PRETRAIN, member, weight=share, overhead=STARTING, most=most))
    folds: dict[bool, list[Task]] = {True: [], False: []}
    for member in members:
        if stages.train(member).finished:
            continue
        made, baseline, start = settings.member(member), is_baseline(settings, member), stages.pretrain(member)
        passes = made.ngram_crf.iterations if baseline else made.train.epochs
        task = Task(
            FOLD,
            member,
            weight=budget.weights.get(member, 1.0) * (1 - budget.pretraining) / sizes.folds,
            after=Task(PRETRAIN, first[start.key]).name if start else "",
            overhead=STARTING + (sizes.tokens / sizes.folds + sizes.test_tokens) / (LABELLING * speed),
            most=passes * epoch_seconds(settings, member, sizes, speed),
        )
        folds[baseline] += [replace(task, fold=fold) for fold in range(sizes.folds)]
    return [*pretrainings[:1], *folds[True], *pretrainings[1:], *folds[False]]
