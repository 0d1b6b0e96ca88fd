"""Finds texts that train annotates in several ways, and resolves them before training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from daguan.core.needs import chosen
from daguan.core.settings import Section, setting
from daguan.core.types import Sentence
from daguan.data.marginals import LineMarginals
from daguan.data.tags import TagScheme

KEEP, DROP, RELABEL = "keep", "drop", "relabel"
WAYS = (KEEP, DROP, RELABEL)


class ConflictSettings(Section):
    """Training lines of the same text with different annotations. Held-out lines are always scored against their own
    annotations."""

    training: str = setting(
        KEEP,
        "What training does with such lines: `keep` or `drop` all, or `relabel` all with one of their annotations.",
        choices=WAYS,
    )
    run: str = setting(
        "",
        "A trained member's folder in the work folder, such as tagger-1a2b3c, whose out-of-fold marginals choose that "
        "annotation; empty takes the commonest, and of equally common ones the first.",
        reads_when=chosen("conflicts.training", RELABEL),
    )


def lines_by_text(sentences: Sequence[Sentence]) -> dict[tuple[str, ...], list[int]]:
    """Returns the line numbers (from 0) of each distinct text, in order."""
    lines: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, sentence in enumerate(sentences):
        lines[sentence.tokens].append(number)
    return dict(lines)


def conflicting_lines(train: Sequence[Sentence]) -> list[list[int]]:
    """Returns the line numbers of each text that is annotated in several ways."""
    return [lines for lines in lines_by_text(train).values() if len({train[line] for line in lines}) > 1]


def most_common_annotations(annotations: Sequence[Sentence]) -> list[Sentence]:
    """Returns the most frequent annotation; all of them, in order of appearance, on a tie."""
    counts = Counter(annotations)
    return [annotation for annotation, count in counts.items() if count == max(counts.values())]


def resolve_conflicts(
    train: Sequence[Sentence], settings: ConflictSettings, held_out: Mapping[int, LineMarginals], scheme: TagScheme
) -> list[Sentence | None]:
    """Returns the sentence to train on in place of each line; None drops the line.

    `held_out` maps lines to out-of-fold marginals (T,K) of a run; it is read only if `settings.run` names one. The
    models behind them saw no annotation of the same text, since folds keep equal texts together.
    """
    lines: list[Sentence | None] = list(train)
    for same_text in conflicting_lines(train) if settings.training != KEEP else []:
        annotations = [train[line] for line in same_text]
        chosen = None
        if settings.training == RELABEL and settings.run:
            chosen = _most_probable(annotations, held_out[same_text[0]], scheme)
        elif settings.training == RELABEL:
            chosen = most_common_annotations(annotations)[0]
        for line in same_text:
            lines[line] = chosen
    return lines


def _most_probable(annotations: Sequence[Sentence], probs: LineMarginals, scheme: TagScheme) -> Sentence:
    """Returns the annotation with the highest product of tag probabilities; the first on a tie."""

    def log_likelihood(annotation: Sentence) -> float:
        tags = scheme.encode(len(probs), annotation.gold)
        found = probs[np.arange(len(tags)), tags].astype(np.float64)
        return float(np.log(found.clip(np.finfo(np.float16).smallest_subnormal)).sum())

    return max(annotations, key=log_likelihood)
