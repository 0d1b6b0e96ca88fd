"""Converts entities to one BIOES tag a token and back; encode and decode are inverses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Span

OUTSIDE = 0
B, I, E, S = range(4)  # noqa: E741  (the scheme's own letters: begin, inside, end, single)
PREFIXES = "BIES"
OUTSIDE_PREFIX = -1
OPENS, CLOSES = (B, S), (E, S)


@dataclass(frozen=True)
class TagScheme:
    """BIOES over the given labels: K = 1 + 4·len(labels) tags; tag 0 is O, then B, I, E, S of each label in turn."""

    labels: tuple[str, ...]

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return ("O", *(f"{prefix}-{label}" for label in self.labels for prefix in PREFIXES))

    def __len__(self) -> int:
        return 1 + 4 * len(self.labels)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Returns (K,K): whether tag j may follow tag i."""
        tags = np.arange(len(self))
        label, prefix = (tags - 1) // 4, np.where(tags == OUTSIDE, OUTSIDE_PREFIX, (tags - 1) % 4)
        closed = np.isin(prefix, (OUTSIDE_PREFIX, E, S))  # no entity is open after the tag
        begins, goes_on = np.isin(prefix, (OUTSIDE_PREFIX, B, S)), np.isin(prefix, (I, E))
        same_label = label[:, None] == label
        allowed: NDArray[np.bool_] = np.where(closed[:, None], begins, same_label & goes_on)
        return allowed

    @cached_property
    def may_start(self) -> NDArray[np.bool_]:
        """Returns (K,): whether a sentence may start with the tag."""
        following: NDArray[np.bool_] = self.allowed[OUTSIDE]
        return following

    @cached_property
    def may_end(self) -> NDArray[np.bool_]:
        """Returns (K,): whether a sentence may end with the tag."""
        preceding: NDArray[np.bool_] = self.allowed[:, OUTSIDE]
        return preceding

    def encode(self, length: int, spans: Iterable[Span]) -> NDArray[np.int64]:
        """Returns (length,) the tags of non-overlapping spans. Raises ValueError: a label outside the scheme."""
        tags = np.zeros(length, dtype=np.int64)
        for span in spans:
            base = self.first_tag(span.label)
            if span.stop - span.start == 1:
                tags[span.start] = base + S
            else:
                tags[span.start : span.stop] = base + I
                tags[span.start], tags[span.stop - 1] = base + B, base + E
        return tags

    def first_tag(self, label: str) -> int:
        """Returns the first tag of a label, to which B, I, E or S is added.

        Raises:
            ValueError: the scheme has no such label.
        """
        if label not in self._bases:
            raise ValueError(f"label {label!r} is not in the scheme")
        return self._bases[label]

    @cached_property
    def _bases(self) -> dict[str, int]:
        return {label: 1 + 4 * number for number, label in enumerate(self.labels)}

    def decode(self, tags: Sequence[int] | NDArray[np.int64]) -> tuple[Span, ...]:
        """Returns the spans of a legal tag sequence. Raises ValueError: the sequence is not legal."""
        return self.decode_all([tags])[0]

    def decode_all(self, lines: Sequence[Sequence[int] | NDArray[np.int64]]) -> list[tuple[Span, ...]]:
        """Returns the spans of each of N legal tag sequences. Raises ValueError: one is not legal."""
        spans: list[list[Span]] = [[] for _ in lines]
        lengths = np.array([len(line) for line in lines], np.int64)
        tags = np.concatenate([np.zeros(0, np.int64), *(np.asarray(line, np.int64) for line in lines)])
        for line, start, stop, label in self.bounds(tags, lengths).tolist():
            spans[line].append(Span(start, stop, self.labels[label]))
        return [tuple(of_line) for of_line in spans]

    def bounds(self, tags: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns (S,4) the spans of legal tag sequences of these lengths (N,), one after another, as numbers: the
        line, the start, the stop and the number of the label, in this order. Raises ValueError: one is not legal."""
        ends = np.cumsum(lengths)
        self._check(tags, ends, ends - lengths)
        prefixes = np.where(tags == OUTSIDE, OUTSIDE_PREFIX, (tags - 1) % 4)
        starts, lasts = (np.flatnonzero(np.isin(prefixes, some)) for some in (OPENS, CLOSES))
        owners = np.searchsorted(ends, starts, "right")  # the line of each span
        begins = (ends - lengths)[owners]
        return np.stack([owners, starts - begins, lasts + 1 - begins, (tags[starts] - 1) // 4], 1)

    def _check(self, tags: NDArray[np.int64], ends: NDArray[np.int64], begins: NDArray[np.int64]) -> None:
        """Raises ValueError: a tag may not stand where it does, in lines (N,) of the tags from `begins` to `ends`."""
        full = ends > begins
        before = np.concatenate([[OUTSIDE], tags])[: len(tags)]
        before[begins[full]] = OUTSIDE
        if len(wrong := np.flatnonzero(~self.allowed[before, tags])):
            position = wrong[0] - begins[np.searchsorted(ends, wrong[0], "right")]
            first, second = (self.tags[one[wrong[0]]] for one in (before, tags))
            raise ValueError(f"{second} may not follow {first} (position {position})")
        lasts = tags[ends[full] - 1]
        if len(wrong := np.flatnonzero(~self.may_end[lasts])):
            raise ValueError(f"{self.tags[lasts[wrong[0]]]} may not be the last tag")
