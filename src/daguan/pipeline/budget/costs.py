"""Estimates the cost of a configuration: seconds of wall clock of each stage, and bytes of memory.

Seconds follow from its work, the data and measured rates; bytes, roughly, from the data alone. Rates are measured on
the machine (trials.py); the few constants here were measured on two AMD cores (docs/log.md).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daguan.families.family import Cost

COMMAND = 6.0  # seconds until a command has loaded what it needs
BLENDING = 10e-6  # seconds a token, for each member and for their mean: 12 s for 405,000 of two members and 3 types
ORDERING = 8.0  # seconds until a stack has sorted the text, of which it reads a limited amount
JUDGING = 0.6e-3  # seconds an entity that takes part, for each fold and once for all: one to three proposals of it
JUDGED = 60_000  # entities at most: of more proposals the stack learns from a part
TYPES = 12  # this number of additional types doubles it: ten types take one and a half times as long as three
PROCESS = 1e9  # bytes that do not grow with the lines: libraries, a small model, its averages and its optimiser
TEXT = 32  # bytes of a token read: its place in a line, in windows, among tags
PROB = 6  # bytes of a probability: in half precision, by windows and lines, or by lines and as the file that is written


@dataclass(frozen=True)
class Facts:
    """The size of the data.

    Attributes:
        text_tokens: of all distinct lines of corpus, train and test, as pretraining reads them.
        added: the tokens that each way of augmentation adds to each training token where its setting is 1.
        entities: of the training lines.
    """

    train_lines: int
    train_tokens: int
    test_lines: int
    test_tokens: int
    longest_line: int
    types: int
    text_tokens: int
    vocabulary: int
    added: Mapping[str, float] = field(default_factory=dict)
    entities: int = 0

    @property
    def tags(self) -> int:
        """Returns the number of tags of the BIOES scheme."""
        return 4 * self.types + 1

    def taking_part(self, lines: int) -> float:
        """Returns the tokens of that number of training lines, 0 for all."""
        return self.train_tokens * min(1.0, lines / self.train_lines if lines else 1.0)


@dataclass(frozen=True)
class MemberRates:
    """Tokens a second of one worker while the others work too.

    Attributes:
        training: tokens times epochs, or times iterations of the n-gram CRF.
        labelling: tokens labelled.
        starting: seconds of a job besides both, until its process is loaded and its model is written.
        indexing: tokens from which the n-gram CRF makes features, once before it begins; 0 if there are none.
    """

    training: float
    labelling: float
    starting: float
    indexing: float = 0.0


@dataclass(frozen=True)
class Rates:
    """Tokens a second.

    Attributes:
        reading: files as sentences.
        numbering: text as ids.
        pretraining: by the name of the encoder, on all cores.
        vectors: by the name of the vectors.
        members: by name.
    """

    reading: float
    numbering: float
    pretraining: dict[str, float]
    vectors: dict[str, float]
    members: dict[str, MemberRates]


@dataclass(frozen=True)
class Pretraining:
    """A pretraining of a configuration.

    Attributes:
        name: the name of its rate.
        tokens: the tokens to read.
        grows: whether it reads more if time remains.
    """

    name: str
    tokens: int
    grows: bool


@dataclass(frozen=True)
class MemberWork:
    """The work of one member.

    Attributes:
        cost: the work of one of its folds.
        augmentation: the setting of each way of augmentation that adds lines.
    """

    name: str
    cost: Cost
    augmentation: Mapping[str, float] = field(default_factory=dict)

    def growth(self, facts: Facts) -> float:
        """Returns the growth of the training tokens by augmentation."""
        return 1 + sum(share * facts.added[way] for way, share in self.augmentation.items())


@dataclass(frozen=True)
class Work:
    """The work of a configuration.

    Attributes:
        lines: the lines that take part, 0 for all.
        workers: folds at a time.
        vectors: (name of the rate, tokens to read, 0 for all, epochs) each.
    """

    folds: int
    lines: int
    workers: int
    members: tuple[MemberWork, ...]
    pretrainings: tuple[Pretraining, ...]
    vectors: tuple[tuple[str, int, int], ...]


def seconds_of(work: Work, facts: Facts, rates: Rates) -> dict[str, float]:
    """Returns the seconds of each stage, in order."""
    part, blending = facts.taking_part(work.lines), BLENDING * (1 + facts.types / TYPES)
    reading = (facts.train_tokens + facts.test_tokens) / rates.reading
    vectors = sum(
        epochs * min(tokens or facts.text_tokens, facts.text_tokens) / rates.vectors[name]
        for name, tokens, epochs in work.vectors
    )
    of_fold = fold_seconds(work, facts, rates)
    jobs = [of_fold[member.name] for member in work.members for _ in range(work.folds)]
    return {
        "prepare": COMMAND + reading + facts.text_tokens / rates.numbering,
        "pretrain": COMMAND + vectors + sum(one.tokens / rates.pretraining[one.name] for one in work.pretrainings),
        "train": COMMAND + makespan(jobs, work.workers),
        "blend": COMMAND
        + ORDERING
        + JUDGING * (work.folds + 1) * min(JUDGED, facts.entities * part / max(1, facts.train_tokens))
        + blending * (part + facts.test_tokens) * (len(work.members) + 1)
        + (part + facts.test_tokens) / rates.reading,
        "submit and score": 2 * (COMMAND + reading),
    }


def fold_seconds(work: Work, facts: Facts, rates: Rates) -> dict[str, float]:
    """Returns the seconds of one fold of each member."""
    part = facts.taking_part(work.lines)
    return {member.name: _fold(member, work.folds, part, facts, rates) for member in work.members}


def _fold(member: MemberWork, folds: int, part: float, facts: Facts, rates: Rates) -> float:
    """Returns the seconds of one fold of a member; part: the tokens that take part."""
    rate, held_out = rates.members[member.name], part / folds
    of_train = member.growth(facts) * (part - held_out)
    training = member.cost.passes * of_train / rate.training + (of_train / rate.indexing if rate.indexing else 0.0)
    labelling = (member.cost.labellings * held_out + facts.test_tokens) / rate.labelling
    return rate.starting + (part + facts.test_tokens) / rates.reading + training + labelling


def bytes_of(work: Work, facts: Facts) -> float:
    """Returns the largest amount of memory: of the largest fold on every worker at once, or of the blend.

    The stages before read all lines in every configuration.
    """
    part = facts.taking_part(work.lines)
    read = PROCESS + TEXT * (part + facts.test_tokens)
    folds = read + max(_fold_bytes(member, work.folds, part, facts) for member in work.members)
    blended = PROB / 3 * facts.tags * (part + facts.test_tokens) * (len(work.members) + 1)
    return max(work.workers * folds, read + blended)


def _fold_bytes(member: MemberWork, folds: int, part: float, facts: Facts) -> float:
    """Returns the bytes of training, or then of the answers; while scored, held-out ones have single precision."""
    held_out = part / folds
    learning = member.cost.bytes_per_token * member.growth(facts) * (part - held_out)
    return max(learning, PROB * facts.tags * (facts.test_tokens + 2 * held_out))


def makespan(jobs: Iterable[float], workers: int) -> float:
    """Returns the seconds until all jobs are done, in order, each by the worker that is free first."""
    free = [0.0] * workers
    for seconds in jobs:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
