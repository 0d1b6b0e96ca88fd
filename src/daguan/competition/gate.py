"""Checks that a submission may be written or sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.quantity import quantity
from daguan.core.types import Segment, labels_of
from daguan.data.contest import Contest
from daguan.data.format import (
    OUTSIDE,
    format_segments,
    iter_segments,
    join_tokens,
    read_labelled,
    read_unlabelled,
    shorten,
)  # fmt: skip


def check(submission: Path, test: Path, labels: Sequence[str] | None = None) -> int:
    """Returns the number of lines of a valid submission.

    `labels` are the allowed ones; None takes them from the training file beside the test file, or allows all lower-case
    ones if there is none.

    Raises:
        DataError: `FILE:LINE: expected …, got …` for the first fault.
    """
    if labels is None and (train := Contest(test.parent).train).is_file():
        labels = labels_of(read_labelled(train))
    known = None if labels is None else dict.fromkeys(labels)
    expected = [sentence.tokens for sentence in read_unlabelled(test)]
    _check_bytes(submission)
    number = 0
    for number, segments in enumerate(iter_segments(submission), start=1):
        try:
            if number > len(expected):
                raise ValueError(f"expected {quantity(len(expected), 'line')} as in {test.name}, got more")
            _check_tokens(segments, expected, number - 1)
            _check_labels(segments, known)
            _check_merged(segments)
        except ValueError as error:
            raise DataError(f"{submission}:{number}: {error}") from None
    if number < len(expected):
        raise DataError(
            f"{submission}:{number}: expected {quantity(len(expected), 'line')} as in {test.name}, got {number}"
        )
    return number


def _check_bytes(path: Path) -> None:
    """Refuses what our reader accepts but a scorer may not. (A missing file is left to the reader.)"""
    if not path.is_file():
        return
    content = path.read_bytes()
    if content.startswith(b"\xef\xbb\xbf"):
        raise DataError(f"{path}:1: expected plain UTF-8, got a byte-order mark")
    if (place := content.find(b"\r")) >= 0:
        raise DataError(f"{path}:{content.count(bytes([10]), 0, place) + 1}: expected LF line ends, got a CR")


def _check_tokens(segments: Sequence[Segment], expected: Sequence[tuple[str, ...]], index: int) -> None:
    tokens = tuple(token for segment, _ in segments for token in segment)
    wanted = expected[index]
    if tokens == wanted:
        return
    if tokens in expected:
        raise ValueError(f"expected the tokens of test line {index + 1}, got those of {expected.index(tokens) + 1}")
    if len(tokens) != len(wanted):
        raise ValueError(f"expected {quantity(len(wanted), 'token')} as in the test line, got {len(tokens)}")
    place = next(i for i, (ours, theirs) in enumerate(zip(tokens, wanted, strict=True)) if ours != theirs)
    raise ValueError(f"expected token {place + 1} to be {shorten(wanted[place])}, got {shorten(tokens[place])}")


def _check_labels(segments: Sequence[Segment], labels: Collection[str] | None) -> None:
    if labels is None:
        return
    for tokens, label in segments:
        if label is not None and label not in labels:
            known = ", ".join((*labels, OUTSIDE))
            raise ValueError(f"expected a label of {known}, got {label!r} on {shorten(join_tokens(tokens))}")


def _check_merged(segments: Sequence[Segment]) -> None:
    for (first, label), (second, following) in pairwise(segments):
        if label is following is None:
            ours = format_segments([(first[-1:], label), (second[:1], following)])
            raise ValueError(f"expected neighbouring o segments merged into one, got {shorten(ours)}")
