"""Tag schemes of files: entities to one tag a token, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from daguan.core.types import Span


class Scheme(NamedTuple):
    """The letters of a scheme.

    Attributes:
        begin, inside, end, single: the letter of the first token, of a middle one, of the last, of an only one.
        marks_end: whether an entity that is not closed by its last letter is illegal.
    """

    begin: str
    inside: str
    end: str
    single: str

    @property
    def marks_end(self) -> bool:
        return self.end != self.inside


BIO = "bio"  # the first scheme of the name, IOB1: B only where an entity follows one of the same label
SCHEMES = {
    BIO: Scheme("I", "I", "I", "I"),
    "bio2": Scheme("B", "I", "I", "B"),
    "bioes": Scheme("B", "I", "E", "S"),
    "bilou": Scheme("B", "I", "L", "U"),
    "bmes": Scheme("B", "M", "E", "S"),
}
OUTSIDE = "O"
LETTERS = "BIOESLUM"


def is_tag(text: str) -> bool:
    """Returns whether a text is `O`, or a letter of a scheme alone, or one with a label: `B-PER`."""
    return text[:1] != "" and text[0] in LETTERS and text[1:2] in ("", "-") and (text == OUTSIDE or text[0] != OUTSIDE)


def guess_scheme(lines: Iterable[Sequence[str]]) -> str:
    """Returns the scheme that tags are written in, by their letters: bio2 where no letter decides.

    Tags with B and I alone are bio where each sequence is legal in it and one is not in bio2.
    """
    lines = [tuple(line) for line in lines]
    letters = {tag[0] for line in lines for tag in line if tag != OUTSIDE}
    for scheme, own in (("bmes", "M"), ("bilou", "LU"), ("bioes", "ES")):
        if letters & set(own):
            return scheme
    return "bio2" if _legal(lines, "bio2") or not _legal(lines, BIO) else BIO


def _legal(lines: Iterable[Sequence[str]], scheme: str) -> bool:
    wrong: list[int] = []
    for line in lines:
        decode(line, scheme, lambda place, problem: wrong.append(place))
        if wrong:
            return False
    return True


def encode(length: int, spans: Iterable[Span], scheme: str) -> list[str]:
    """Returns the tag of each token."""
    letters, tags = SCHEMES[scheme], [OUTSIDE] * length
    before: Span | None = None
    for span in spans:
        adjacent = before is not None and (before.stop, before.label) == (span.start, span.label)
        begin, single = ("B", "B") if scheme == BIO and adjacent else (letters.begin, letters.single)
        inner = span.stop - span.start - 2
        chosen = [single] if inner < 0 else [begin, *[letters.inside] * inner, letters.end]
        tags[span.start : span.stop] = [_tag(letter, span.label) for letter in chosen]
        before = span
    return tags


def _tag(letter: str, label: str) -> str:
    return f"{letter}-{label}" if label else letter


def decode(tags: Sequence[str], scheme: str, illegal: Callable[[int, str], object]) -> tuple[Span, ...]:
    """Returns the entities of tags. Calls `illegal` with the place and the problem of each tag that is not legal there,
    and then reads the sequence as conlleval does.

    Raises:
        ValueError: a tag is none of the scheme.
    """
    letters = SCHEMES[scheme]
    begins, ends = {letters.begin, letters.single, "B"}, {letters.end, letters.single} if letters.marks_end else set()
    continues = {letters.inside, letters.end}
    spans: list[Span] = []
    start = -1  # of the open entity
    for place, tag in enumerate((*tags, OUTSIDE)):
        before = tags[place - 1] if place else OUTSIDE
        if tag != OUTSIDE and (not is_tag(tag) or tag[0] not in begins | continues):
            raise ValueError(f"expected a tag of {scheme.upper()} such as {letters.begin}-PER, got {tag!r}")
        if start < 0 or tag == OUTSIDE or tag[0] not in continues or tag[2:] != before[2:]:
            if start >= 0:
                spans.append(Span(start, place, before[2:]))
            follows = place > 0 and before != OUTSIDE and before[2:] == tag[2:]
            legal = (tag[0] != "B" or follows) if scheme == BIO else tag == OUTSIDE or tag[0] in begins
            if not legal or (start >= 0 and letters.marks_end):
                illegal(place, _problem(tag, before, place, len(tags)))
            start = -1 if tag == OUTSIDE else place
        if tag[0] in ends and start >= 0:
            spans.append(Span(start, place + 1, tag[2:]))
            start = -1
    return tuple(spans)


def _problem(tag: str, before: str, place: int, length: int) -> str:
    if place == length:
        return f"expected the end of an entity, got {before} at the end"
    return f"expected a tag that may follow {before}, got {tag}" if place else f"expected a first tag, got {tag}"
