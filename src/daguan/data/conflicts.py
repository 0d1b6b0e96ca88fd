"""Texts that stand in train annotated in several ways: found, and settled before training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from daguan.core.settings import Need, require
from daguan.core.types import Sentence
from daguan.data.marginals import Probs
from daguan.data.tags import TagScheme

KEEP, DROP, RELABEL = "keep", "drop", "relabel"
WAYS = (KEEP, DROP, RELABEL)


@dataclass(frozen=True)
class ConflictSettings:
    """training: what becomes of training lines whose text is annotated in several ways: keep all, drop all, or relabel
    all with one of these annotations. run: the folder of a trained member in the work folder, e.g. tagger-1a2b3c, whose
    belief out of fold chooses that one; empty takes the commonest, of equals the first. Held-out lines are scored
    against their labels as given, whatever is said here."""

    training: str = KEEP
    run: str = ""
    NEEDS: ClassVar[tuple[Need[ConflictSettings], ...]] = (
        Need("run", f"conflicts.training is {RELABEL}", lambda made: made.training == RELABEL),
    )

    def __post_init__(self) -> None:
        require("training", self.training in WAYS, " or ".join(WAYS), self.training)


def lines_by_text(sentences: Sequence[Sentence]) -> dict[tuple[str, ...], list[int]]:
    """The line numbers, from 0, of each text, in order."""
    lines: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, sentence in enumerate(sentences):
        lines[sentence.tokens].append(number)
    return dict(lines)


def conflicts(train: Sequence[Sentence]) -> list[list[int]]:
    """The lines of each text that is annotated in several ways."""
    return [lines for lines in lines_by_text(train).values() if len({train[line] for line in lines}) > 1]


def commonest(annotations: Sequence[Sentence]) -> list[Sentence]:
    """The annotation that occurs most; all of them, in order of appearance, where several do."""
    counts = Counter(annotations)
    return [annotation for annotation, count in counts.items() if count == max(counts.values())]


def settled(
    train: Sequence[Sentence], settings: ConflictSettings, held_out: Mapping[int, Probs], scheme: TagScheme
) -> list[Sentence | None]:
    """What to train on in place of each line; None drops it.

    `held_out` are a run's marginals (T,K) of each line out of fold, read where a run is named. The models behind them
    have seen none of a text's annotations, since folds keep equal texts together.
    """
    lines: list[Sentence | None] = list(train)
    for alike in conflicts(train) if settings.training != KEEP else []:
        annotations = [train[line] for line in alike]
        chosen = None
        if settings.training == RELABEL:
            probs = held_out[alike[0]] if settings.run else None
            chosen = commonest(annotations)[0] if probs is None else _likeliest(annotations, probs, scheme)
        for line in alike:
            lines[line] = chosen
    return lines


def _likeliest(annotations: Sequence[Sentence], probs: Probs, scheme: TagScheme) -> Sentence:
    """By the product of its tags' probabilities; of equals the first."""

    def log_likelihood(annotation: Sentence) -> float:
        tags = scheme.encode(len(probs), annotation.gold)
        found = probs[np.arange(len(tags)), tags].astype(np.float64)
        return float(np.log(found.clip(np.finfo(np.float16).smallest_subnormal)).sum())

    return max(annotations, key=log_likelihood)
