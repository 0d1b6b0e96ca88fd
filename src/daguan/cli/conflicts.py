"""The command `conflicts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json
from daguan.core.quantity import quantity

if TYPE_CHECKING:
    from daguan.core.types import Sentence


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """List equal texts with different labels, and known test lines.

    These are train lines of equal text but different labels, which conflicts.training=drop or relabel resolves before
    training, and test lines whose text occurs in train, which blend.lookup=true labels as in train.
    """
    from daguan.data.format import read_labelled, read_unlabelled
    from daguan.pipeline.prepare import build_contest
    from daguan.pipeline.settings import load
    from daguan.pipeline.stages import Stages

    settings = load(configuration(words, accept_code))
    stages = Stages(settings)
    build_contest(stages)
    train, test = read_labelled(stages.contest.train), read_unlabelled(stages.contest.test)
    conflicting, known = conflicts_of(train), known_lines(test, train)
    if as_json:
        print_json({"conflicts": conflicting, "known_test_lines": known, "test_lines": len(test)})
    else:
        print_conflicts(conflicting)
        print_known(known, len(test))


def conflicts_of(train: Sequence[Sentence]) -> list[list[dict[str, Any]]]:
    """Return the lines of each text that has different labels; lines are numbered from 1."""
    from daguan.data.conflicts import conflicting_lines
    from daguan.data.format import format_labelled

    found = conflicting_lines(train)
    return [[{"line": line + 1, "text": format_labelled(train[line])} for line in lines] for lines in found]


def known_lines(test: Sequence[Sentence], train: Sequence[Sentence]) -> list[dict[str, Any]]:
    """Return each test line whose text occurs in train, with the train lines and their most frequent labels."""
    from daguan.data.conflicts import lines_by_text
    from daguan.data.format import format_labelled
    from daguan.ensemble.lookup import known_annotations

    lines, known = lines_by_text(train), known_annotations(train)
    return [
        {
            "line": number,
            "train_lines": [line + 1 for line in lines[sentence.tokens]],
            "labels": format_labelled(known[sentence.tokens]) if sentence.tokens in known else None,
        }
        for number, sentence in enumerate(test, start=1)
        if sentence.tokens in lines
    ]


def print_conflicts(conflicting: Sequence[Sequence[dict[str, Any]]]) -> None:
    from daguan.data.contest import TRAIN

    for lines in conflicting:
        print("\n".join(f"{TRAIN}:{line['line']}: {line['text']}" for line in lines), end="\n\n")
    in_all = sum(map(len, conflicting))
    print(f"{quantity(len(conflicting), 'text')} with conflicting labels, in {quantity(in_all, 'train line')}\n")


def print_known(known: Sequence[dict[str, Any]], test_lines: int) -> None:
    from daguan.data.contest import TEST, TRAIN

    for line in known:
        places = ", ".join(map(str, line["train_lines"]))
        print(f"{TEST}:{line['line']}: {TRAIN}:{places}: {line['labels'] or '(no most frequent labels)'}")
    settled = sum(line["labels"] is not None for line in known)
    print(f"train has {len(known)} of {quantity(test_lines, 'test line')}, {settled} with one most frequent labelling")
