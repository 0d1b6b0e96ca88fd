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
CLOSES = {E, S}


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
        spans = []
        previous, start = OUTSIDE, 0
        for position, tag in enumerate(map(int, tags)):
            if not self.allowed[previous, tag]:
                raise ValueError(f"{self.tags[tag]} may not follow {self.tags[previous]} (position {position})")
            if tag != OUTSIDE:
                prefix = (tag - 1) % 4
                if prefix in (B, S):
                    start = position
                if prefix in CLOSES:
                    spans.append(Span(start, position + 1, self.labels[(tag - 1) // 4]))
            previous = tag
        if not self.may_end[previous]:
            raise ValueError(f"{self.tags[previous]} may not be the last tag")
        return tuple(spans)
