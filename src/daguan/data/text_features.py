"""Features from unlabelled text for the n-gram CRF: clusters of tokens, and strings whose neighbours vary.

The neighbours of a whole name vary, those of a part of one hardly do (accessor variety: Feng et al. 2004, J04-1004).
V tokens, S strings; N and M as in data/feature_hashes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from daguan.core.errors import CheckpointError
from daguan.core.files import write_atomic
from daguan.data.feature_hashes import GAP, Ints, Numbers, PaddedLines, at_templates, combined
from daguan.data.hash_table import HashTable

LENGTHS = range(2, GAP + 2)  # tokens of a string
NO_FEATURE = 0
FEWEST = 3  # occurrences of a string
TEMPLATES = ((-2,), (-1,), (0,), (1,), (2,), (-1, 0), (0, 1), (-1, 0, 1))  # of clusters
OF_CLUSTERS, OF_STRINGS, OF_VARIETY = 100, 200, 300  # numbers of templates, which no others have


@dataclass(frozen=True)
class TextFeatures:
    """What a text says about tokens and strings, without labels.

    Attributes:
        tokens: (V,) hashes of the tokens that have clusters, ascending.
        clusters: (V,G) their cluster in each of G clusterings, from 1.
        strings: (S,) hashes of strings of 2 to 4 tokens, ascending.
        varieties: (S,) 1 + the base-2 logarithm, rounded down, of the fewer of their different left and right
            neighbours.
    """

    tokens: Numbers
    clusters: Numbers
    strings: Numbers
    varieties: Numbers

    def columns(self, padded: PaddedLines) -> list[Numbers]:
        """Returns features (N,) of each token: clusters around it, and the strings that it begins, is in, or ends."""
        found = []
        at, rows = self._of_token.find(padded.values[padded.places])
        for number, clusters in enumerate(self.clusters.T):
            values = np.zeros_like(padded.values)
            values[padded.places[at]] = clusters[rows]
            found += at_templates(values, padded.places, TEMPLATES, OF_CLUSTERS + number * len(TEMPLATES))
        for length in LENGTHS:
            found += self._of_strings(padded, length)
        return found

    @cached_property
    def _of_token(self) -> HashTable:
        return HashTable.of(self.tokens)

    @cached_property
    def _of_string(self) -> HashTable:
        return HashTable.of(self.strings)

    def _of_strings(self, padded: PaddedLines, length: int) -> list[Numbers]:
        """Returns a feature (N,) for each place in a string of that length, first to last; inner places look alike."""
        starts, varieties = padded.places, np.zeros_like(padded.values)
        strings = string_hashes([padded.values[starts + offset] for offset in range(length)])
        at, rows = self._of_string.find(strings)
        varieties[starts[at]] = self.varieties[rows]  # 0 where an edge is in the string
        columns = []
        for place in range(length):
            role = 0 if place == 0 else 2 if place == length - 1 else 1
            variety = varieties[starts - place]
            feature = combined(OF_VARIETY + 3 * length + role, [variety])
            columns.append(np.where(variety > 0, feature, np.uint64(NO_FEATURE)))
        return columns


def write_text_features(features: TextFeatures, path: Path) -> None:
    """Writes the features as a safetensors file. Raises WriteError: a full disk."""
    arrays = {one.name: getattr(features, one.name) for one in fields(features)}
    write_atomic(path, lambda temporary: save_file(arrays, temporary))


def read_text_features(path: Path) -> TextFeatures:
    """Returns the features in a file. Raises CheckpointError: damaged."""
    try:
        return TextFeatures(**load_file(path))
    except (SafetensorError, TypeError) as error:
        raise CheckpointError(f"{path}: expected the features of a text, got: {error}") from None


def string_hashes(tokens: Sequence[Numbers]) -> Numbers:
    """Returns (S,) the hashes of strings, given by the hashes (S,) of their first, second … tokens."""
    return combined(OF_STRINGS + len(tokens), tokens)


def varieties_of_strings(ids: NDArray[np.integer], ends: Sequence[int], table: Numbers) -> tuple[Numbers, Numbers]:
    """Returns `strings` and `varieties` of TextFeatures.

    Args:
        ids: (N,) of the text.
        ends: ids that no string holds; as neighbours they are tokens as any other.
        table: the hash of each id's token.
    """
    text = np.concatenate([[ends[0]], ids, [ends[0]]]).astype(np.int64)
    inside, size = ~np.isin(text, ends), len(table)
    strings, varieties = [], []
    codes = text  # numbers of the strings that start at each place
    for length in LENGTHS:
        codes = codes[:-1] * size + text[length - 1 :]
        starts = np.flatnonzero(
            np.logical_and.reduce([inside[i : len(inside) - length + 1 + i] for i in range(length)])
        )
        _, first, number, counts = np.unique(codes[starts], return_index=True, return_inverse=True, return_counts=True)
        neighbours = (text[starts + step] for step in (-1, length))
        fewer = np.minimum(*(_different(number, one, len(counts), size) for one in neighbours))
        often = counts >= FEWEST
        firsts = starts[first[often]]
        strings.append(string_hashes([table[text[firsts + offset]] for offset in range(length)]))
        varieties.append(1 + np.log2(fewer[often]).astype(np.uint64))
        codes = np.full(len(codes), -1)
        codes[starts] = number
        if not len(starts):
            break
    order = np.argsort(hashed := np.concatenate(strings))
    return hashed[order], np.concatenate(varieties)[order]


def _different(numbers: Ints, neighbours: Ints, count: int, size: int) -> Ints:
    """Returns (count,) how many different neighbours each number has."""
    return np.bincount(np.unique(numbers * size + neighbours) // size, minlength=count)
