"""Estimates what members need, before their own jobs have measured it: the tasks of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from daguan.core.types import Sentence, labels_of
from daguan.families.family import family_of
from daguan.models.encoders.table import ENCODERS, objective_of
from daguan.pipeline.budget.allotment import FOLD, PRETRAIN, Task
from daguan.pipeline.pretrain import starts_of
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages
from daguan.training.objectives.table import OBJECTIVES

STARTING = 10.0  # seconds until a process has loaded what it needs, and has written its model
SPEED = 3_000.0  # tokens a second of pretraining, by one worker, where nothing is pretrained that measures it
# speeds as multiples of that of pretraining; the n-gram CRF's is of tokens times iterations
FINE_TUNING, LABELLING, VECTORS, NGRAM_CRF = 0.8, 4.0, 30.0, 200.0
TEXT_FEATURES = 3.0  # times that an iteration of the n-gram CRF takes with them
# seconds of a blend: to load, for each entity in each fold and once more, for each token of each member and once more
BLEND, BLEND_ENTITY, BLEND_TOKEN = 7.0, 0.2e-3, 12e-6
ENTITIES = 60_000  # entities that a stack learns from, at most
TYPES = 12  # this number of further types doubles the cost of a token
# seconds of `prepare` for each token of the text and for each labelled line; of `submit` for each token of test lines
PREPARE_TOKEN, PREPARE_LINE, SUBMIT_TOKEN = 0.35e-6, 0.3e-3, 5e-6
COMMAND = 6.0  # seconds until a command has loaded what it needs
ENDING, MARGIN = 6.0, 0.015  # seconds to write the submission; share of the minutes that no job is allotted
GRACE = 0.5  # share of the margin after which what still trains is ended; the rest stays free
GPU = 30.0  # seconds of a core that a second of a GPU is worth
MEMORY = 0.8  # share of the available memory that workers may fill
PROCESS, TRAINED_TOKEN = 1e9, 1_500  # bytes of a worker: libraries and a small model; a token in an n-gram CRF


@dataclass(frozen=True)
class Sizes:
    """The sizes of the data.

    Attributes:
        tokens: of the training lines that take part.
        text_tokens: of all the text that pretraining reads.
        units: of lines that no fold divides; 0 where each line is one.
    """

    lines: int
    tokens: int
    entities: int
    types: int
    test_tokens: int
    text_tokens: int
    folds: int
    units: int = 0

    @classmethod
    def of(cls, stages: Stages) -> Sizes:
        """Returns the sizes of a prepared contest."""
        text_tokens = stages.prepare.manifest()["report"]["corpus"]["tokens"]
        return cls.of_lines(stages.prepared.train, stages.prepared.test, text_tokens, stages.settings.folds.count)

    @classmethod
    def of_lines(cls, train: Sequence[Sentence], test: Sequence[Sentence], text_tokens: int, folds: int) -> Sizes:
        """Returns the sizes of these training and test lines, with that number of tokens in all the text."""
        return cls(
            lines=len(train),
            tokens=sum(len(sentence.tokens) for sentence in train),
            entities=sum(len(sentence.gold) for sentence in train),
            types=len(labels_of(train)),
            test_tokens=sum(len(sentence.tokens) for sentence in test),
            text_tokens=text_tokens,
            folds=folds,
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


@dataclass(frozen=True)
class Speeds:
    """How fast one worker is. All speeds follow from that of pretraining by fixed ratios, but for those that are known.

    Attributes:
        speed: tokens a second of pretraining.
        encoders: by member, tokens a second of its own encoder's pretraining.
        folds: by member, training tokens a second; of an n-gram CRF, of tokens times iterations.
        labels: by member, tokens a second that it labels.
        starting: by the kind of a task and its member, seconds of a process besides training and labelling.
        update: fewest seconds of an update of fine-tuning, however small it is.
    """

    speed: float
    encoders: Mapping[str, float] = field(default_factory=dict)
    folds: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, float] = field(default_factory=dict)
    starting: Mapping[tuple[str, str], float] = field(default_factory=dict)
    update: float = 0.0

    def encoder(self, member: str) -> float:
        return self.encoders.get(member, self.speed)

    def fine_tuning(self, member: str) -> float:
        return self.folds.get(member, self.encoder(member) * FINE_TUNING)

    def labelling(self, member: str) -> float:
        return self.labels.get(member, LABELLING * self.encoder(member))

    def start(self, kind: str, member: str) -> float:
        return self.starting.get((kind, member), STARTING)


def is_pretrained(settings: Settings, member: str) -> bool:
    """Returns whether a member starts from an encoder that reads text for as long as one likes."""
    config = settings.member(member)
    starts = family_of(config.family).starts_from_pretraining(config)
    return starts and ENCODERS[config.model.encoder].pretrained and config.pretrain.tokens > 0


def most_tokens(settings: Settings, member: str, text_tokens: int) -> int:
    """Returns the most tokens of pretraining that a member's encoder can use, of a text with that number of them."""
    config = settings.member(member)
    objective = OBJECTIVES[objective_of(config.model.encoder, config.pretrain.objective)]
    return int(min(settings.budget.passes, objective.passes) * text_tokens)


def is_baseline(settings: Settings, member: str) -> bool:
    return family_of(settings.member(member).family).is_baseline


def epoch_seconds(settings: Settings, member: str, sizes: Sizes, speeds: Speeds) -> float:
    """Returns the seconds of an epoch, or an iteration of an n-gram CRF, of one fold."""
    config = settings.member(member)
    if not is_baseline(settings, member):
        updates = sizes.lines * (1 - 1 / sizes.folds) / config.train.batch_size
        return max(sizes.fold_tokens / speeds.fine_tuning(member), updates * speeds.update)
    if member in speeds.folds:
        return sizes.fold_tokens / speeds.folds[member]
    times = TEXT_FEATURES if config.ngram_crf.text_features else 1.0
    return times * sizes.fold_tokens / (speeds.speed * NGRAM_CRF)


def least_seconds(settings: Settings, task: Task) -> float:
    """Returns the seconds of training that make a fold worth training: those of budget.least_epochs."""
    return task.most * min(1.0, settings.budget.least_epochs / settings.member(task.member).train.epochs)


def are_enough(settings: Settings, tasks: Sequence[Task], scale: float) -> bool:
    """Returns whether each fold among the tasks gets enough epochs at that scale. Those of an n-gram CRF need none."""
    return all(
        task.training(scale) >= least_seconds(settings, task)
        for task in tasks
        if task.kind == FOLD and not is_baseline(settings, task.member)
    )


def deadline(limit: float, blend: float) -> float:
    """Returns the second at which training is to end, for a blend of that number of seconds."""
    return limit * (1 - MARGIN) - ENDING - blend


def last_end(limit: float, blend: float) -> float:
    """Returns the second at which training is ended: jobs that took longer than allotted may use a part of the margin,
    as a member whose last fold is ended is lost."""
    return deadline(limit, blend) + GRACE * MARGIN * limit


def tasks_of(stages: Stages, members: Sequence[str], sizes: Sizes, speeds: Speeds) -> list[Task]:
    """Returns the tasks of these members in the order in which they begin.

    Pretrainings are long and come first, but only one of them before the n-gram CRF, which is cheap and safe. A
    finished run has no tasks.
    """
    settings, budget = stages.settings, stages.settings.budget
    starts = starts_of(stages, members)
    first = {run.key: member for member, run in starts.items()}
    pretrainings = []
    for member, run in starts.items():
        config, weight = settings.member(member), budget.weights.get(member, 1.0)
        if run.finished:
            continue
        if is_pretrained(settings, member):
            share, most = budget.pretraining * weight, config.pretrain.tokens / speeds.encoder(member)
        else:
            read = min(config.vectors.tokens or sizes.text_tokens, sizes.text_tokens) * config.vectors.epochs
            share, most = 1e9, read / (VECTORS * speeds.speed)
        pretrainings.append(Task(PRETRAIN, member, weight=share, overhead=speeds.start(PRETRAIN, member), most=most))
    folds: dict[bool, list[Task]] = {True: [], False: []}
    for member in members:
        if stages.train(member).finished:
            continue
        config, baseline, start = settings.member(member), is_baseline(settings, member), stages.pretrain(member)
        passes = config.ngram_crf.iterations if baseline else config.train.epochs
        labelled = sizes.tokens / sizes.folds + sizes.test_tokens
        task = Task(
            FOLD,
            member,
            weight=budget.weights.get(member, 1.0) * (1 - budget.pretraining) / sizes.folds,
            after=Task(PRETRAIN, first[start.key]).name if start else "",
            overhead=speeds.start(FOLD, member) + labelled / speeds.labelling(member),
            most=passes * epoch_seconds(settings, member, sizes, speeds),
        )
        folds[baseline] += [replace(task, fold=fold) for fold in range(sizes.folds)]
    return [*pretrainings[:1], *folds[True], *pretrainings[1:], *folds[False]]
