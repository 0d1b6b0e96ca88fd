"""A tiny contest for claims about text: lines that count on, with entities at fixed numbers."""

from __future__ import annotations

from pathlib import Path

from daguan.core.seeds import stream
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import format_labelled, format_unlabelled, write_lines

LENGTH, TOKENS = 40, 30  # of a line, and different ones
NAMES = {7: "a", 19: "b"}  # the numbers at which an entity of two tokens begins


def toy_news(folder: Path, train: int = 40, test: int = 20, corpus: int = 60) -> Path:
    """Writes a contest with the labels of its test lines into the folder, and returns it."""
    contest, rng = Contest(folder), stream(1, "toy-news")
    starts = rng.integers(TOKENS, size=train + test + corpus)
    lines = [_line(int(start), int(skip)) for start, skip in zip(starts, rng.integers(1, 9, len(starts)), strict=True)]
    write_lines(contest.train, map(format_labelled, lines[:train]))
    write_lines(contest.test_gold, map(format_labelled, lines[train : train + test]))
    write_lines(contest.test, map(format_unlabelled, lines[train : train + test]))
    write_lines(contest.corpus, map(format_unlabelled, lines[train + test :]))
    return folder


def _line(start: int, skip: int) -> Sentence:
    """Returns a line that counts on from `start`, and leaves out a token after every `skip` + 3 tokens."""
    numbers = [(start + place + place // (skip + 3)) % TOKENS for place in range(LENGTH)]
    spans = [Span(at, at + 2, NAMES[number]) for at, number in enumerate(numbers[:-1]) if number in NAMES]
    return Sentence(tuple(map(str, numbers)), tuple(spans))
