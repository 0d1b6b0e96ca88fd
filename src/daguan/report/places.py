"""Where the strings of entities occur in all the text: counts, neighbours, places in the corpus, and similar strings.

The page itself finds the places in train and test, since it holds these lines.
"""

from __future__ import annotations

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
from daguan.report.occurrences import Ints, Occurrences, String, Text, occurrences

Numbers = dict[String, int]

MOST_PLACES = 50  # of a string
MOST_SNIPPETS = 30_000  # of the corpus, of all strings together
AROUND = 4  # tokens before and after a string in the corpus
NEIGHBOURS = 5  # of each side
NEAREST = 5  # similar strings
MOST_SIMILAR = 20_000  # strings between which similar ones are sought
MOST_CORPUS = 20_000_000  # tokens of it that are read


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
    of_corpus = _Corpus(corpus)
    text = Text(chain((line.tokens for line in lines), of_corpus))
    found = occurrences(strings, text)
    in_corpus = text.lines_of(found.start) >= len(lines)
    counts = np.bincount(found.string, minlength=len(strings))
    wanted = np.zeros(len(strings), bool)
    wanted[[strings[string] for string in contested]] = True
    share = min(MOST_PLACES, MOST_SNIPPETS // max(1, int(wanted.sum())))
    shown = np.flatnonzero(in_corpus & wanted[found.string] & (_nth(found.string) < share))
    shown = shown[np.argsort(found.string[shown], kind="stable")]
    snippets = Occurrences(*(one[shown] for one in found))
    return {
        "first": packed(offsets(map(len, strings))),
        "text": packed([vocabulary.setdefault(token, len(vocabulary)) for string in strings for token in string]),
        "corpus": packed(np.bincount(found.string[in_corpus], minlength=len(strings))),
        "count": packed(counts),
        "rank": packed(ranks(counts)),
        "corpus_tokens": of_corpus.read,
        "corpus_whole": of_corpus.whole,
        "left": _neighbours(found.string, text.ids[found.start - 1], len(strings), text, vocabulary),
        "right": _neighbours(found.string, text.ids[found.stop], len(strings), text, vocabulary),
        "places": _snippets(snippets, text, np.array([0] * len(lines) + of_corpus.numbers), vocabulary),
        "near": _nearest([*strings][:MOST_SIMILAR], vectors) if vectors else None,
    }


class _Corpus:
    """The lines of the corpus, if there is one, up to MOST_CORPUS tokens.

    Attributes:
        numbers: of the lines that were read, from 1.
        read: tokens.
        whole: whether all lines were read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.numbers, self.read, self.whole = path, list[int](), 0, True

    def __iter__(self) -> Iterator[Sequence[str]]:
        for number, line in iter_corpus(self.path) if self.path.is_file() else ():
            if self.read > MOST_CORPUS:
                self.whole = False
                break
            if line:
                tokens = split_tokens(line)
                self.numbers.append(number)
                self.read += len(tokens)
                yield tokens


def _nth(owners: Ints) -> Ints:
    """Returns for each element how many equal ones stand before it."""
    order = np.argsort(owners, kind="stable")
    begins = np.searchsorted(owners[order], owners[order], "left")
    nth = np.empty(len(owners), np.int64)
    nth[order] = np.arange(len(owners)) - begins
    return nth


def ranks(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the rank of each count, 1 for the highest; equal counts share the best rank."""
    ordered = np.sort(-counts)
    return np.searchsorted(ordered, -counts, "left") + 1


def _neighbours(owners: Ints, ids: Ints, strings: int, text: Text, vocabulary: dict[str, int]) -> dict[str, Any]:
    """Returns the commonest neighbours of each string, as ids + 1 (0: the end of a line) with their counts."""
    pairs, counts = np.unique(owners * len(text.numbers) + ids, return_counts=True)
    owner, token = np.divmod(pairs, len(text.numbers))
    tokens = text.tokens
    order_of = np.empty(len(tokens), np.int64)
    order_of[sorted(range(len(tokens)), key=tokens.__getitem__)] = np.arange(len(tokens))
    order = np.lexsort((order_of[token], -counts, owner))
    common = order[_nth(owner[order]) < NEIGHBOURS]
    named = [tokens[number] for number in token[common].tolist()]
    return {
        "first": packed(offsets(np.bincount(owner[common], minlength=strings))),
        "token": packed([vocabulary.setdefault(one, len(vocabulary)) + 1 if one else 0 for one in named]),
        "count": packed(counts[common]),
    }


def _snippets(shown: Occurrences, text: Text, numbers: Ints, vocabulary: dict[str, int]) -> dict[str, Any]:
    """Returns places in the corpus: line, tokens around it, and where it begins in these. numbers: of the lines."""
    lines, tokens = text.lines_of(shown.start), text.tokens
    low = np.maximum(text.first[lines], shown.start - AROUND)
    ends = np.append(text.first, len(text.ids))[lines + 1] - 1
    high = np.minimum(ends, shown.stop + AROUND)
    pieces = [text.ids[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    named = [tokens[number] for piece in pieces for number in piece.tolist()]
    return {
        "string": packed(shown.string),
        "line": packed(numbers[lines]),
        "at": packed(shown.start - low),
        "first": packed(offsets(high - low)),
        "text": packed([vocabulary.setdefault(token, len(vocabulary)) for token in named]),
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
        each = min(NEAREST, rows.shape[1])
        best = np.sort(np.argpartition(-rows, each - 1, 1)[:, :each], 1)
        order = np.take_along_axis(best, np.argsort(-np.take_along_axis(rows, best, 1), 1, kind="stable"), 1)
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
