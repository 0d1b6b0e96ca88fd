"""Cuts lines longer than the model's window into overlapping pieces, and stitches the results together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens [start, stop) of a line; its result is used for [keep_start, keep_stop)."""

    line: int
    start: int
    stop: int
    keep_start: int
    keep_stop: int


def windows_of(line: int, length: int, size: int, overlap: int) -> list[Window]:
    """Covers a line with windows of at most `size` tokens; neighbours share at least `overlap`.

    Each token is taken from the window in which it is farther from a cut: both share the overlap equally.
    """
    assert 0 <= overlap < size
    starts = list(range(0, max(1, length - overlap), size - overlap))
    starts = [max(0, min(start, length - size)) for start in starts]
    stops = [min(start + size, length) for start in starts]
    cuts = [0] + [(starts[i + 1] + stops[i]) // 2 for i in range(len(starts) - 1)] + [length]
    return [Window(line, *edges) for edges in zip(starts, stops, cuts[:-1], cuts[1:], strict=True)]


def stitch(windows: Sequence[Window], results: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Returns (T,K) for one line from the arrays (stop−start,K) of its windows, in order."""
    parts = [
        result[window.keep_start - window.start : window.keep_stop - window.start]
        for window, result in zip(windows, results, strict=True)
    ]
    return np.concatenate(parts)


def training_pieces(sentence: Sentence, size: int, overlap: int) -> tuple[list[Sentence], int]:
    """Returns training pieces of at most `size` tokens, cut outside entities, and the number of lost entities.

    Neighbours overlap by `overlap` tokens where no entity is in the way. Only entities longer than `size` are lost: no
    piece holds their tokens. Every other entity is whole in some piece.
    """
    held = [span for span in sentence.gold if span.stop - span.start <= size]
    lost = len(sentence.gold) - len(held)
    pieces: list[Sentence] = []
    for low, high in _stretches_without_lost(sentence, size):
        start = low
        while start < high:
            stop = _outside(held, min(start + size, high), high)
            pieces.append(sentence.part(start, stop))
            if stop == high:
                break
            following = _outside(held, stop - overlap, high)
            start = following if following > start else stop
    return pieces, lost


def _stretches_without_lost(sentence: Sentence, size: int) -> list[tuple[int, int]]:
    edges = [0]
    for span in sentence.gold:
        if span.stop - span.start > size:
            edges += [span.start, span.stop]
    edges.append(len(sentence.tokens))
    return [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]


def _outside(spans: Sequence[Span], position: int, high: int) -> int:
    """Returns the last cut at or before `position` that splits no entity."""
    if position == high:
        return position
    return next((span.start for span in spans if span.start < position < span.stop), position)
