"""Counts how often the gold labels make a string of tokens an entity of each type, and how often it occurs at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence
from daguan.data.format import join_tokens, split_tokens

String = tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """Counts of the strings that are an entity somewhere in G groups of lines.

    Attributes:
        numbers: the row of each string.
        counts: (strings+1, G, labels+1) by string and group: as an entity of each type, then all its occurrences. The
            last row stands for unknown strings and is 0.
    """

    numbers: dict[String, int]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, gold: Sequence[Sentence], labels: Sequence[str], group_of_line: NDArray[np.int64]) -> Lexicon:
        """Counts the strings of annotated lines; group_of_line (N,) assigns each line to a group."""
        numbers: dict[String, int] = {}
        for sentence in gold:
            for span in sentence.gold:
                numbers.setdefault(sentence.tokens[span.start : span.stop], len(numbers))
        counts = np.zeros((len(numbers) + 1, int(group_of_line.max()) + 1, len(labels) + 1), np.int64)
        beginnings = {string[:length] for string in numbers for length in range(1, len(string) + 1)}
        for sentence, group in zip(gold, group_of_line.tolist(), strict=True):
            for span in sentence.gold:
                counts[numbers[sentence.tokens[span.start : span.stop]], group, labels.index(span.label)] += 1
            for string in _stretches(sentence.tokens, beginnings):
                if string in numbers:
                    counts[numbers[string], group, -1] += 1
        return cls(numbers, counts)

    def number(self, string: String) -> int:
        """Returns the row of a string; the last row for unknown ones."""
        return self.numbers.get(string, len(self.numbers))

    def numbers_of(self, strings: Sequence[String]) -> NDArray[np.int64]:
        """Returns (C,) the row of each string."""
        return np.array([self.number(string) for string in strings], np.int64)

    def counts_in(self, groups: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Returns (strings+1, labels+1) the counts within the selected groups (G,).

        A string that is no entity there gets a row of 0: its other counts would reveal that it is one in another group.
        """
        counts: NDArray[np.int64] = self.counts[:, groups].sum(1)
        counts[counts[:, :-1].sum(1) == 0] = 0
        return counts

    def restricted_to(self, groups: NDArray[np.bool_]) -> Lexicon:
        """Returns the lexicon as counted on the selected groups alone, as a single group."""
        counts = self.counts_in(groups)
        strings = [string for string, number in self.numbers.items() if counts[number].any()]
        rows = [self.numbers[string] for string in strings] + [len(self.numbers)]
        return Lexicon({string: number for number, string in enumerate(strings)}, counts[rows][:, None])

    def to_json(self) -> dict[str, Any]:
        """Returns the counts by string, of a lexicon with one group."""
        return dict(zip(map(join_tokens, self.numbers), self.counts[:-1, 0].tolist(), strict=True))

    @classmethod
    def from_json(cls, values: dict[str, Any], labels: int) -> Lexicon:
        numbers = {tuple(split_tokens(text)): number for number, text in enumerate(values)}
        counts = np.array([*values.values(), [0] * (labels + 1)], np.int64)
        return cls(numbers, counts[:, None])


def _stretches(tokens: String, beginnings: set[String]) -> Iterator[String]:
    """Yields every stretch of the tokens that is in `beginnings`."""
    for start in range(len(tokens)):
        stop = start + 1
        while stop <= len(tokens) and tokens[start:stop] in beginnings:
            yield tokens[start:stop]
            stop += 1
