"""What each row of a blend says of every line, in a file beside its scores: a report need not fit the blend again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_text
from daguan.core.types import Sentence, Span
from daguan.ensemble.blending import BlendRow

FILE = "answers.json"


class Answers(NamedTuple):
    """The spans of one row, with their probabilities.

    Attributes:
        train: of each training line, out of fold.
        test: of each test line.
    """

    train: list[tuple[Span, ...]]
    test: list[tuple[Span, ...]]


def save_answers(folder: Path, rows: Sequence[BlendRow]) -> None:
    """Writes the spans of all rows; probabilities are kept to the bit."""
    found = {row.name: {"train": _plain(row.out_of_fold), "test": _plain(row.test)} for row in rows}
    write_text(folder / FILE, json.dumps(found, ensure_ascii=False, separators=(",", ":")))


def load_answers(folder: Path) -> dict[str, Answers]:
    """Returns the spans of each row by its name. Raises CheckpointError: damaged, or a blend of an earlier version."""
    if not (folder / FILE).is_file():
        raise CheckpointError(f"{folder}: expected {FILE}, got a blend of an older version; remove it, blend again")
    found = read_json(folder / FILE)
    try:
        return {name: Answers(_spans(one["train"]), _spans(one["test"])) for name, one in found.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / FILE}: expected the spans of all lines, got: {error!r}") from None


def _plain(lines: Sequence[Sentence]) -> list[list[tuple[int, int, str, float]]]:
    return [[(span.start, span.stop, span.label, span.probability) for span in line.gold] for line in lines]


def _spans(lines: Sequence[Sequence[tuple[int, int, str, float]]]) -> list[tuple[Span, ...]]:
    return [tuple(Span(*span) for span in line) for line in lines]
