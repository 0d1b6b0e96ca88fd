"""Area, simplicity and equality of polygons whose corners are points of an instance, over a batch.

B instances of N points (B,N,2). A sequence is a row of point indices, −1 after its end: (B,S).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]
Sequences = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MOST_NUMBERS = 1 << 22  # in one array


def lengths_of(sequences: Sequences) -> NDArray[np.int64]:
    """Returns the lengths (B,) of sequences."""
    return np.asarray((sequences >= 0).sum(1), dtype=np.int64)


def corners(points: Points, sequences: Sequences) -> Floats:
    """Returns the coordinates (B,S,2) in the order of the sequence, and its first point again after its end."""
    closed = np.where(sequences >= 0, sequences, sequences[:, :1].clip(0))
    return np.take_along_axis(points.astype(np.float64), closed[:, :, None], axis=1)


def cross(one: Floats, other: Floats) -> Floats:
    """Returns x₁y₂ − x₂y₁ over the last axis: positive where `other` is to the left of `one`."""
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


def signed_areas(points: Points, sequences: Sequences) -> Floats:
    """Returns the areas (B,), positive where the corners go counter-clockwise."""
    here = corners(points, sequences)
    return np.asarray(cross(here, np.roll(here, -1, axis=1)).sum(1) / 2)


def perimeters(points: Points, sequences: Sequences) -> Floats:
    """Returns the lengths (B,) of the closed paths."""
    here = corners(points, sequences)
    return np.asarray(np.linalg.norm(np.roll(here, -1, axis=1) - here, axis=2).sum(1))


def are_simple(points: Points, sequences: Sequences) -> Bools:
    """Returns (B,): at least three corners, none twice, and no two edges that cross."""
    rows = max(1, MOST_NUMBERS // sequences.shape[1] ** 2)
    parts = [slice(low, low + rows) for low in range(0, len(points), rows)]
    return np.concatenate([_are_simple(points[part], sequences[part]) for part in parts])


def _are_simple(points: Points, sequences: Sequences) -> Bools:
    size = sequences.shape[1]
    pairs = np.triu(np.ones((size, size), dtype=bool), 1)
    there = sequences >= 0
    twice = ((sequences[:, :, None] == sequences[:, None, :]) & there[:, :, None] & pairs).any((1, 2))
    here = corners(points, sequences)
    crossed = _crossing(here, np.roll(here, -1, axis=1)) & there[:, :, None] & there[:, None, :] & pairs
    return np.asarray((there.sum(1) >= 3) & ~twice & ~crossed.any((1, 2)))


def _crossing(starts: Floats, stops: Floats) -> Bools:
    """Returns (B,S,S): edges that properly cross. Those that share a corner do not."""
    ways = stops - starts
    side_of_start = cross(ways[:, :, None], starts[:, None] - starts[:, :, None])
    side_of_stop = cross(ways[:, :, None], stops[:, None] - starts[:, :, None])
    parted = side_of_start * side_of_stop < 0
    return np.asarray(parted & parted.transpose(0, 2, 1))


def same_cycles(one: Sequences, other: Sequences) -> Bools:
    """Returns (B,): whether both are the same closed path, from any start and in either direction."""
    one, other = canonical(one), canonical(other)
    size = max(one.shape[1], other.shape[1])
    return np.asarray((_widened(one, size) == _widened(other, size)).all(1))


def canonical(sequences: Sequences) -> Sequences:
    """Returns the same closed paths, each from its lowest index towards the lower one of its neighbours."""
    turned = from_lowest(sequences)
    lengths = lengths_of(turned)
    last = turned[np.arange(len(turned)), (lengths - 1).clip(0)]
    second = turned[:, min(1, turned.shape[1] - 1)]
    return np.where((second > last)[:, None], backwards(turned), turned)


def from_lowest(sequences: Sequences) -> Sequences:
    """Returns the same closed paths, each from its lowest index."""
    lowest = np.where(sequences >= 0, sequences, np.iinfo(np.int64).max).argmin(1)
    return _taken(sequences, lowest[:, None] + np.arange(sequences.shape[1]))


def backwards(sequences: Sequences) -> Sequences:
    """Returns the same closed paths with the same start in the other direction."""
    return _taken(sequences, -np.arange(sequences.shape[1])[None, :])


def _taken(sequences: Sequences, places: NDArray[np.int64]) -> Sequences:
    """Returns the values at those places, counted cyclically in each sequence."""
    lengths = lengths_of(sequences)[:, None]
    taken = np.take_along_axis(sequences, places % lengths.clip(1), axis=1)
    return np.where(np.arange(sequences.shape[1]) < lengths, taken, -1)


def _widened(sequences: Sequences, size: int) -> Sequences:
    return np.pad(sequences, ((0, 0), (0, size - sequences.shape[1])), constant_values=-1)
