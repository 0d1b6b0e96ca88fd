"""What in a source is not as it must be, and what to do about it if the user says so; all is counted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from daguan.core.errors import ConfigError, DataError
from daguan.core.quantity import quantity
from daguan.core.types import Span
from daguan.formats.document import Offsets

REPAIRS = {
    "overlaps": "keeps the longest of entities that share a token, the first of equally long ones",
    "cuts": "widens an entity that begins or ends inside a token to the whole token",
    "fragments": "joins the parts of an entity, with all that is between them",
    "empty": "leaves out entities without text",
    "tags": "lets every tag that cannot continue an entity begin one, as conlleval does",
    "annotators": "takes the last of several annotations of a text",
}


class Repairs:
    """The repairs that are allowed, and how often each was made. Raises ConfigError: there is no such repair."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self.allowed = frozenset(allowed)
        self.counts: Counter[str] = Counter()
        for name in self.allowed:
            if name not in REPAIRS:
                raise ConfigError(f"--repair {name}: no such repair; known: {', '.join(REPAIRS)}")

    def make(self, name: str, place: str, problem: str) -> None:
        """Counts a repair. Raises DataError: it is not allowed."""
        if name not in self.allowed:
            raise DataError(f"{place}: {problem}; --repair {name} {REPAIRS[name]}")
        self.counts[name] += 1


class Marked(NamedTuple):
    """An entity as a source marks it: a half-open range of characters (or of tokens), its label, and its place."""

    start: int
    stop: int
    label: str
    place: str


def to_tokens(marked: Iterable[Marked], text: str, offsets: Offsets, repairs: Repairs) -> tuple[Span, ...]:
    """Returns the entities over tokens; white space at their ends does not count.

    Raises:
        DataError: a range outside the text, and, where the repair is not allowed, an entity without text, one that cuts
            a token, or two that overlap.
    """
    found = []
    for start, stop, label, place in marked:
        if not 0 <= start <= stop <= len(text):
            raise DataError(
                f"{place}: expected offsets within {quantity(len(text), 'character')}, got {start} and {stop}"
            )
        first, last = tokens_at(start, stop, offsets)
        if first >= last or not text[start:stop].strip():
            repairs.make("empty", place, f"expected an entity with text, got {text[start:stop]!r} at {start}")
            continue
        if cuts_tokens(start, stop, text, offsets):
            whole = text[offsets[first][0] : offsets[last - 1][1]]
            repairs.make("cuts", place, f"expected whole tokens, got {text[start:stop]!r} out of {whole!r}")
        found.append(Marked(first, last, label, place))
    return without_overlap(found, repairs)


def tokens_at(start: int, stop: int, offsets: Offsets) -> tuple[int, int]:
    """Returns the half-open range of the tokens that hold some of a range of characters."""
    return bisect_right(offsets, start, key=lambda one: one[1]), bisect_left(offsets, stop, key=lambda one: one[0])


def cuts_tokens(start: int, stop: int, text: str, offsets: Offsets) -> bool:
    """Returns whether a range of characters begins or ends inside a token; white space there does not count."""
    first, last = tokens_at(start, stop, offsets)
    return bool(text[offsets[first][0] : start].strip() or text[stop : offsets[last - 1][1]].strip())


def without_overlap(marked: Sequence[Marked], repairs: Repairs) -> tuple[Span, ...]:
    """Returns entities over tokens in order, equal ones once. Raises DataError: two overlap, and may not."""
    free: dict[int, Marked] = {}
    for one in sorted(marked, key=lambda one: (one.start - one.stop, one.start)):
        taken = next((free[place] for place in range(one.start, one.stop) if place in free), None)
        if taken is None:
            free |= dict.fromkeys(range(one.start, one.stop), one)
        elif taken[:3] != one[:3]:
            problem = f"expected entities that do not overlap, got {_named(taken)} and {_named(one)}"
            repairs.make("overlaps", one.place, problem)
    return tuple(sorted(Span(*one[:3]) for one in set(free.values())))


def _named(one: Marked) -> str:
    return f"{one.label!r} (tokens {one.start} to {one.stop - 1})"
