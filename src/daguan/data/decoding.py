"""Decodes tag marginals: the legal tag sequence of each line with the highest product of marginals.

N tokens of some lines, one after another, K tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Span
from daguan.data.marginals import CHUNK_TOKENS, chunks
from daguan.data.tags import OUTSIDE, TagScheme
from daguan.data.viterbi import best_legal_paths

SMALLEST = 1e-6  # lower marginals count as this one: half precision cannot represent them
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Answers = Sequence[NDArray[np.floating]]  # marginals (T,K) of each line


def decode_lines(
    answers: Iterable[NDArray[np.floating]], scheme: TagScheme, bias: Floats | None = None
) -> list[tuple[Span, ...]]:
    """Returns the spans of each line.

    answers: marginals (T,K) of each line; bias (K,): added to their logarithms.
    """
    return scheme.decode_all(decode_tags(list(answers), scheme, bias))


def decode_tags(answers: Answers, scheme: TagScheme, bias: Floats | None = None) -> list[Ints]:
    """Returns the tags (T,) of each line; otherwise as `decode_lines`."""
    (tags,) = decode_each(answers, scheme, [bias])
    return np.split(tags, np.cumsum([len(probs) for probs in answers])[:-1]) if answers else []


def decode_each(answers: Answers, scheme: TagScheme, biases: Sequence[Floats | None]) -> list[Ints]:
    """Returns for each bias the tags (N,) of all lines."""
    found: list[list[Ints]] = [[np.zeros(0, np.int64)] for _ in biases]
    lengths = np.array([len(probs) for probs in answers], np.int64)
    for lines in chunks(lengths, CHUNK_TOKENS):
        logs = log_probs(np.concatenate(answers[lines]))
        for of_bias, bias in zip(found, biases, strict=True):
            of_bias.append(_best_tags(logs if bias is None else logs + bias, lengths[lines], scheme))
    return [np.concatenate(of_bias) for of_bias in found]


def _best_tags(scores: Floats, lengths: Ints, scheme: TagScheme) -> Ints:
    """Returns (N,) the legal tags with the highest sum of scores (N,K): the highest ones wherever they are legal, and
    only in the other lines those that a search finds."""
    tags: Ints = scores.argmax(1)
    illegal = illegal_lines(tags, lengths, scheme)
    if illegal.any():
        here = np.repeat(illegal, lengths)
        tags[here] = best_legal_paths(scores[here], lengths[illegal], scheme)
    return tags


def illegal_lines(tags: Ints, lengths: Ints, scheme: TagScheme) -> NDArray[np.bool_]:
    """Returns (lines,) whether the scheme forbids the tags (N,) of the line."""
    steps = np.insert(tags, np.cumsum(lengths), OUTSIDE)  # one after each line, which is before the next one, too
    bad = ~scheme.allowed[np.concatenate([[OUTSIDE], steps[:-1]]), steps]
    found: NDArray[np.bool_] = np.add.reduceat(bad, np.cumsum(lengths + 1) - (lengths + 1)) > 0
    return found


def log_probs(probs: NDArray[np.floating], bias: Floats | None = None) -> Floats:
    """Returns the scores of tags in decoding: log marginals (…,K), at least log SMALLEST, plus a bias (K,)."""
    logs: Floats = np.log(np.maximum(probs.astype(np.float32), SMALLEST))
    return logs if bias is None else logs + bias
