"""Tag schemes, held against all short sequences and against the field's scorer."""

from __future__ import annotations

from itertools import product

import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from daguan.core.types import Span
from daguan.formats.tags import SCHEMES, decode, encode, guess_scheme, is_tag

OFFICIAL = {"bio": IOB1, "bio2": IOB2, "bioes": IOBES, "bilou": BILOU}
LENGTH = 4


def tags_of(scheme: str) -> list[str]:
    letters = sorted({*SCHEMES[scheme], "B"})
    return ["O", *(f"{letter}-{label}" for letter in letters for label in "xy")]


def read(tags: tuple[str, ...], scheme: str) -> tuple[tuple[Span, ...], bool]:
    problems: list[str] = []
    spans = decode(tags, scheme, lambda place, problem: problems.append(problem))
    return spans, not problems


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sequence_is_legal_if_and_only_if_it_is_written_from_its_entities(scheme: str) -> None:
    for length in range(LENGTH + 1):
        for tags in product(tags_of(scheme), repeat=length):
            spans, legal = read(tags, scheme)
            assert legal == (encode(length, spans, scheme) == [*tags])


@pytest.mark.parametrize("scheme", OFFICIAL)
def test_legal_sequences_hold_the_entities_that_seqeval_finds(scheme: str) -> None:
    for tags in product(tags_of(scheme), repeat=LENGTH):
        spans, legal = read(tags, scheme)
        if legal:
            found = Entities([[*tags]], OFFICIAL[scheme]).entities[0]
            assert [(one.start, one.end, one.tag) for one in found] == [(s.start, s.stop, s.label) for s in spans]


def test_illegal_sequences_are_read_as_conlleval_does() -> None:
    for tags in product(tags_of("bio2"), repeat=LENGTH):
        spans, _ = read(tags, "bio2")
        assert [(s.label, s.start, s.stop - 1) for s in spans] == get_entities([*tags])


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-x", "I-x"], "bio2"),
        (["O", "I-x", "B-x"], "bio"),
        (["O", "B-x", "O", "I-x"], "bio2"),
        (["B-x", "E-x"], "bioes"),
        (["U-x"], "bilou"),
        (["B-x", "M-x", "E-x"], "bmes"),
        (["O"], "bio2"),
        (["B", "I"], "bio2"),
    ],
)
def test_a_scheme_is_found_by_its_letters(tags: list[str], scheme: str) -> None:
    assert guess_scheme([tags]) == scheme


@pytest.mark.parametrize("text", ["", "o", "X-PER", "BPER", "O-PER", "PER-B"])
def test_what_is_no_tag(text: str) -> None:
    assert not is_tag(text)
