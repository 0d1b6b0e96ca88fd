"""Counts how often the gold labels make a string of tokens an entity of each type, and how often it occurs at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        tree, column = _Tree(numbers), {label: number for number, label in enumerate(labels)}
        for sentence, group in zip(gold, group_of_line.tolist(), strict=True):
            for span in sentence.gold:
                counts[numbers[sentence.tokens[span.start : span.stop]], group, column[span.label]] += 1
            for number in tree.found_in(sentence.tokens):
                counts[number, group, -1] += 1
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


class _Tree:
    """Strings by their tokens, so that time and memory grow with their tokens and not with the square of a length."""

    def __init__(self, numbers: Mapping[String, int]) -> None:
        self._next: dict[tuple[int, str], int] = {}  # the node that a token leads to from a node; 0 is the root
        self._number: dict[int, int] = {}  # the number of the string that ends at a node
        for string, number in numbers.items():
            node = 0
            for token in string:
                node = self._next.setdefault((node, token), len(self._next) + 1)
            self._number[node] = number

    def found_in(self, tokens: String) -> Iterator[int]:
        """Yields the number of each string that is a stretch of the tokens, once for each place."""
        for start in range(len(tokens)):
            node = 0
            for place in range(start, len(tokens)):
                if (node := self._next.get((node, tokens[place]), 0)) == 0:
                    break
                if node in self._number:
                    yield self._number[node]
