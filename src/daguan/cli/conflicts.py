"""conflicts [CONFIG] [key=value …]: train lines of one text with different labels, and test lines that stand in train.

conflicts.training=drop or relabel settles the former before training, blend.lookup=true answers the latter from train.
"""

from __future__ import annotations

from collections.abc import Sequence

from daguan.core.types import Sentence
from daguan.data.conflicts import conflicting_lines, lines_by_text
from daguan.data.contest import TEST, TRAIN
from daguan.data.format import format_labelled, read_labelled, read_unlabelled
from daguan.ensemble.lookup import known_annotations
from daguan.pipeline.prepare import build_contest
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages


def main(words: list[str]) -> None:
    settings = load(words)
    stages = Stages(settings)
    build_contest(stages)
    train, test = read_labelled(stages.contest.train), read_unlabelled(stages.contest.test)
    print_conflicts(train)
    print_found(test, train)


def print_conflicts(train: Sequence[Sentence]) -> None:
    """Each text's lines below one another, by number from 1."""
    found = conflicting_lines(train)
    for lines in found:
        print("\n".join(f"{TRAIN}:{line + 1}: {format_labelled(train[line])}" for line in lines), end="\n\n")
    print(f"{len(found)} texts with conflicting labels, in {sum(map(len, found))} train lines\n")


def print_found(test: Sequence[Sentence], train: Sequence[Sentence]) -> None:
    """Each test line with the train lines of its text, and their commonest labels."""
    lines, known = lines_by_text(train), known_annotations(train)
    found = [(number, line.tokens) for number, line in enumerate(test, start=1) if line.tokens in lines]
    for number, text in found:
        places = ", ".join(str(line + 1) for line in lines[text])
        labels = format_labelled(known[text]) if text in known else "(no commonest labels)"
        print(f"{TEST}:{number}: {TRAIN}:{places}: {labels}")
    print(f"{len(found)} of {len(test)} test lines stand in train, {sum(text in known for _, text in found)} settled")
