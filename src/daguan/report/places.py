"""Where the strings of entities occur in all the text: counts, neighbours, places in the corpus, and similar strings.

The page itself finds the places in train and test, since it holds these lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from daguan.core.types import Sentence
from daguan.data.format import iter_corpus, split_tokens
from daguan.data.vocabulary import UNK, Vocabulary
from daguan.report.columns import bytes_of, offsets, packed

String = tuple[str, ...]
Numbers = dict[String, int]

MOST_PLACES = 50  # of a string
MOST_SNIPPETS = 40_000  # of the corpus, of all strings together
AROUND = 4  # tokens before and after a string in the corpus
NEIGHBOURS = 5  # of each side
NEAREST = 5  # similar strings
MOST_SIMILAR = 20_000  # strings between which similar ones are sought
MOST_CORPUS = 20_000_000  # tokens of it that are read


class Index:
    """Finds the strings that begin at a token."""

    def __init__(self, strings: Iterable[String]) -> None:
        self.numbers = {string: number for number, string in enumerate(strings)}
        self._lengths: dict[str, tuple[int, ...]] = {}
        by_token = defaultdict(set)
        for string in self.numbers:
            by_token[string[0]].add(len(string))
        self._lengths = {token: tuple(sorted(lengths)) for token, lengths in by_token.items()}

    def occurrences(self, tokens: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """Yields number, start and stop of each string at each place in a line."""
        for start, token in enumerate(tokens):
            for length in self._lengths.get(token, ()):
                number = self.numbers.get(tuple(tokens[start : start + length]))
                if number is not None and start + length <= len(tokens):
                    yield number, start, start + length


def string_columns(
    strings: Numbers,
    lines: Sequence[Sentence],
    corpus: Path,
    contested: Iterable[String],
    vocabulary: dict[str, int],
    vectors: tuple[NDArray[np.float32], Vocabulary] | None,
) -> dict[str, Any]:
    """Returns what the page shows of each string besides its places in the lines.

    contested: strings on which the tracks differ, whose places in the corpus are kept, too; vocabulary: the ids of the
    page's tokens, to which those of the corpus are added; vectors: of tokens (V,H), if there are any.
    """
    index = Index(strings)
    counts = np.zeros(len(strings), np.int64)
    in_corpus = np.zeros(len(strings), np.int64)
    left: list[Counter[str]] = [Counter() for _ in strings]
    right: list[Counter[str]] = [Counter() for _ in strings]
    wanted = {strings[string] for string in contested}
    share = min(MOST_PLACES, MOST_SNIPPETS // max(1, len(wanted)))
    snippets = []
    read, whole = 0, True
    for number, tokens in chain(((0, line.tokens) for line in lines), _corpus(corpus)):
        if number:
            if read > MOST_CORPUS:
                whole = False
                break
            read += len(tokens)
        for string, start, stop in index.occurrences(tokens):
            left[string][tokens[start - 1] if start else ""] += 1
            right[string][tokens[stop] if stop < len(tokens) else ""] += 1
            counts[string] += 1
            if number:
                in_corpus[string] += 1
                if string in wanted and counts[string] <= share:
                    snippets.append((string, number, start, tokens, stop))
    return {
        "first": packed(offsets(map(len, strings))),
        "text": packed([vocabulary.setdefault(token, len(vocabulary)) for string in strings for token in string]),
        "corpus": packed(in_corpus),
        "count": packed(counts),
        "rank": packed(ranks(counts)),
        "corpus_tokens": read,
        "corpus_whole": whole,
        "left": _neighbours(left, vocabulary),
        "right": _neighbours(right, vocabulary),
        "places": _snippets(snippets, vocabulary),
        "near": _nearest([*strings][:MOST_SIMILAR], vectors) if vectors else None,
    }


def _corpus(path: Path) -> Iterator[tuple[int, Sequence[str]]]:
    """Yields number (from 1) and tokens of each line of the corpus, if there is one."""
    if path.is_file():
        yield from ((number, split_tokens(line)) for number, line in iter_corpus(path) if line)


def ranks(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the rank of each count, 1 for the highest; equal counts share the best rank."""
    ordered = np.sort(-counts)
    return np.searchsorted(ordered, -counts, "left") + 1


def _neighbours(counters: Sequence[Counter[str]], vocabulary: dict[str, int]) -> dict[str, Any]:
    """Returns the commonest neighbours of each string, as ids + 1 (0: the end of a line) with their counts."""
    common = [sorted(one.items(), key=lambda pair: (-pair[1], pair[0]))[:NEIGHBOURS] for one in counters]
    pairs = [*chain.from_iterable(common)]
    ids = [vocabulary.setdefault(token, len(vocabulary)) + 1 if token else 0 for token, _ in pairs]
    return {
        "first": packed(offsets(map(len, common))),
        "token": packed(ids),
        "count": packed([count for _, count in pairs]),
    }


def _snippets(found: Sequence[tuple[int, int, int, Sequence[str], int]], vocabulary: dict[str, int]) -> dict[str, Any]:
    """Returns places in the corpus, ordered by string: line, tokens around it, and where it begins in these."""
    ordered = sorted(found, key=lambda one: one[:3])
    texts = [tokens[max(0, start - AROUND) : stop + AROUND] for _, _, start, tokens, stop in ordered]
    return {
        "string": packed([string for string, *_ in ordered]),
        "line": packed([line for _, line, *_ in ordered]),
        "at": packed([min(AROUND, start) for _, _, start, *_ in ordered]),
        "first": packed(offsets(map(len, texts))),
        "text": packed([vocabulary.setdefault(token, len(vocabulary)) for text in texts for token in text]),
    }


def token_vectors(folder: Path) -> tuple[NDArray[np.float32], Vocabulary] | None:
    """Returns the token embeddings (V,H) of a pretrained encoder and their vocabulary; None where its folder has no
    such table."""
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return None
    vocabulary = Vocabulary.load(folder)
    with safe_open(weights, "np") as file:
        for name in file.keys():  # noqa: SIM118  (no mapping)
            shape = file.get_slice(name).get_shape()
            if "embeddings" in name and len(shape) == 2 and shape[0] == len(vocabulary):
                return file.get_tensor(name).astype(np.float32), vocabulary
    return None


def _nearest(strings: Sequence[String], vectors: tuple[NDArray[np.float32], Vocabulary]) -> dict[str, Any]:
    """Returns the strings whose mean token embeddings have the highest cosines with those of each string."""
    table, vocabulary = vectors
    encoded = [vocabulary.encode(string) for string in strings]
    known = np.array([UNK not in ids for ids in encoded], bool)
    means = np.stack([table[ids].mean(0) for ids in encoded])
    means -= means.mean(0)  # the direction that all share says nothing
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    near, cosines = [], []
    for low in range(0, len(means), 1_000):
        rows = means[low : low + 1_000] @ means.T
        rows[np.arange(len(rows)), np.arange(low, low + len(rows))] = -1
        rows[:, ~known] = -1
        order = np.argsort(-rows, 1, kind="stable")[:, :NEAREST]
        near.append(order)
        cosines.append(np.take_along_axis(rows, order, 1))
    each = min(NEAREST, len(strings))
    return {
        "each": each,
        "string": packed(np.concatenate(near).ravel()),
        "cosine": packed(bytes_of(np.concatenate(cosines).ravel())),
        "known": packed(known),
    }


def contested(strings: Mapping[String, int], tracks: Sequence[Sequence[Any]], lines: Sequence[Sentence]) -> set[String]:
    """Returns the strings that are an entity of some tracks and not of others, at any place."""
    found: set[String] = set()
    for number, sentence in enumerate(lines):
        sets = [set(track[number]) for track in tracks if number < len(track)]
        for span in set.union(*sets) - set.intersection(*sets) if sets else ():
            found.add(sentence.tokens[span.start : span.stop])
    return found & set(strings)
