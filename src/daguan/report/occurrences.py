"""Finds where strings of tokens occur in text, by a trie into which every place of the text descends at once.

N numbers of text, S strings, O occurrences.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

String = tuple[str, ...]
Ints = NDArray[np.int64]
END = 0  # the number of what stands before and after each line


class _Numbers(dict[str, int]):
    """Gives each new token the next number."""

    def __missing__(self, token: str) -> int:
        self[token] = number = len(self)
        return number


class Text:
    """Lines of tokens as one array.

    Attributes:
        numbers: of tokens; the empty string has END.
        ids: (N,) END, and then the tokens of each line followed by END.
        first: where each line begins in `ids`.
    """

    def __init__(self, lines: Iterable[Sequence[str]]) -> None:
        self.numbers = _Numbers({"": END})
        ids, first = array("i", [END]), array("q")
        for tokens in lines:
            first.append(len(ids))
            ids.extend(map(self.numbers.__getitem__, tokens))
            ids.append(END)
        self.ids = np.frombuffer(ids, np.intc).astype(np.int64)
        self.first = np.frombuffer(first, np.int64) if first else np.zeros(0, np.int64)

    @property
    def tokens(self) -> list[str]:
        """The tokens by their numbers."""
        return [*self.numbers]

    def lines_of(self, places: Ints) -> Ints:
        """Returns the line of each place in `ids`."""
        return np.searchsorted(self.first, places, "right") - 1


class Occurrences(NamedTuple):
    """Where strings occur, in the order of the text.

    Attributes:
        string: (O,) which of the strings.
        start, stop: (O,) its half-open range in the ids of the text.
    """

    string: Ints
    start: Ints
    stop: Ints


def occurrences(strings: Iterable[String], text: Text) -> Occurrences:
    """Returns all occurrences of S distinct strings, overlapping ones too; none crosses the end of a line."""
    children: dict[tuple[int, int], int] = {}  # by a node of the trie and the next token
    ends = {}  # the string that ends at a node
    for number, string in enumerate(strings):
        node = 0
        for token in string:
            if token not in text.numbers:
                break
            node = children.setdefault((node, text.numbers[token]), len(children) + 1)
        else:
            ends[node] = number
    keys = np.array([node * len(text.numbers) + token for node, token in children], np.int64)
    order = np.argsort(keys)
    keys, nodes = keys[order], order + 1
    string_of = np.full(len(children) + 1, -1)
    string_of[[*ends]] = [*ends.values()]
    return _descended(text, keys, nodes, string_of)


def _descended(text: Text, keys: Ints, nodes: Ints, string_of: Ints) -> Occurrences:
    """Descends from every place until no string begins with the tokens from there on.

    keys: sorted, of the edges of the trie: node · tokens + token; nodes: to which they lead; string_of: by node, or −1.
    """
    begins = np.zeros(len(text.numbers), bool)
    begins[keys[keys < len(text.numbers)]] = True
    places = np.flatnonzero(begins[text.ids])
    at, depth, nothing = np.zeros(len(places), np.int64), 0, np.zeros(0, np.int64)
    found = [(nothing, nothing, nothing)]
    while len(places):
        wanted = at * len(text.numbers) + text.ids[places + depth]
        edges = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        alive = keys[edges] == wanted
        places, at, depth = places[alive], nodes[edges[alive]], depth + 1
        whole = string_of[at] >= 0
        found.append((string_of[at[whole]], places[whole], places[whole] + depth))
    string, start, stop = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((stop, start))
    return Occurrences(string[order], start[order], stop[order])
