"""Replaces the models' labels of test lines that occur word for word in train by train's labels.

This never applies to out-of-fold lines, since folds keep equal texts together: out-of-fold scores do not measure it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daguan.core.types import Sentence
from daguan.data.conflicts import lines_by_text, most_common_annotations


def replace_known_lines(answer: Sequence[Sentence], train: Sequence[Sentence]) -> list[Sentence]:
    """Returns the labelled lines; known texts get their most common annotation, unless several are."""
    known = known_annotations(train)
    return [known.get(line.tokens, line) for line in answer]


def known_annotations(train: Sequence[Sentence]) -> Mapping[tuple[str, ...], Sentence]:
    """Returns the most common annotation of each text that has a single one."""
    found = {
        text: most_common_annotations([train[line] for line in lines]) for text, lines in lines_by_text(train).items()
    }
    return {text: annotations[0] for text, annotations in found.items() if len(annotations) == 1}
