"""Test lines that stand in train word for word: train's labels in place of the models'.

Out of fold this never applies, since folds keep equal texts together: the score out of fold tells nothing of its worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daguan.core.types import Sentence
from daguan.data.conflicts import lines_by_text, most_common_annotations


def looked_up(answer: Sequence[Sentence], train: Sequence[Sentence]) -> list[Sentence]:
    """The labelled lines, those known with their commonest annotation; where several are as common, as they were."""
    known = known_labels(train)
    return [known.get(line.tokens, line) for line in answer]


def known_labels(train: Sequence[Sentence]) -> Mapping[tuple[str, ...], Sentence]:
    """The one commonest annotation of each text that has one."""
    found = {
        text: most_common_annotations([train[line] for line in lines]) for text, lines in lines_by_text(train).items()
    }
    return {text: annotations[0] for text, annotations in found.items() if len(annotations) == 1}
