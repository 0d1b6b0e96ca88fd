"""Generated lines are made of training lines: which tokens and entities they may hold, and how many there are."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import random_sentence
from daguan.core.errors import ConfigError
from daguan.core.types import Sentence, Span, labels_of
from daguan.data.augmentation import SHORTEST_CUT, WAYS, AugmentationSettings, augment, cut
from daguan.data.tags import TagScheme

OFF = AugmentationSettings()
TOKENS = st.lists(st.sampled_from("0123456789"), min_size=1, max_size=15).map(tuple)
SEGMENTS = st.lists(st.tuples(TOKENS, st.sampled_from([None, *"abc"])), min_size=1, max_size=9)
LINES = st.lists(SEGMENTS.map(Sentence.of), min_size=1, max_size=12)
SETTINGS = st.sampled_from([OFF.replace(**{way: share}) for way in WAYS for share in (0.4, 1.0, 2.5)])


def lines_of(seed: int, count: int = 40) -> list[Sentence]:
    """Lines of 20 to 60 tokens, a quarter of them outside; each token says which line it is of, and where."""
    rng = np.random.default_rng(seed)
    drawn = [random_sentence(rng, int(rng.integers(20, 60))) for _ in range(count)]
    drawn = [line if i % 4 else Sentence(line.tokens, ()) for i, line in enumerate(drawn)]
    return [
        Sentence(tuple(f"{i}.{place}" for place in range(len(line.tokens))), line.spans) for i, line in enumerate(drawn)
    ]


def made_of(lines: list[Sentence], seed: int = 3, **settings: float) -> list[Sentence]:
    whole = augment(lines, OFF.replace(**settings), seed)
    assert whole[: len(lines)] == lines
    return whole[len(lines) :]


def entities(lines: list[Sentence]) -> Counter:
    return Counter(segment for line in lines for segment in line.segments if segment[1] is not None)


def tokens(lines: list[Sentence]) -> Counter:
    return Counter(chain.from_iterable(line.tokens for line in lines))


def types(line: Sentence) -> list[str]:
    return [span.label for span in line.gold]


def test_all_off_adds_nothing() -> None:
    assert made_of(lines_of(0)) == []


@given(LINES, SETTINGS, st.integers(0, 99))
def test_whatever_is_made_is_legal_and_holds_only_entities_of_the_lines(lines, settings, seed) -> None:
    scheme = TagScheme(labels_of(lines))
    made = augment(lines, settings, seed)[len(lines) :]
    assert augment(lines, settings, seed) == [*lines, *made]  # for a run that is resumed
    assert entities(made).keys() <= entities(lines).keys()
    assert tokens(made).keys() <= tokens(lines).keys()
    for line in made:
        assert scheme.decode(scheme.encode(len(line.tokens), line.gold)) == line.gold
    assert len(made) <= round(2.5 * len(lines))


@pytest.mark.parametrize("way", WAYS)
def test_another_seed_makes_others_and_one_way_more_changes_no_other(way) -> None:
    lines = lines_of(1)
    made = made_of(lines, **{way: 1.0})
    assert made != made_of(lines, seed=4, **{way: 1.0})
    together = made_of(lines, **dict.fromkeys(WAYS, 1.0))
    alone = {other: made_of(lines, **{other: 1.0}) for other in WAYS}
    assert together == [line for other in WAYS for line in alone[other]]


@given(SEGMENTS.map(Sentence.of))
def test_the_pieces_of_a_line_are_the_line_and_each_between_the_ends_holds_an_entity(line) -> None:
    before, pieces, after = cut(line)
    assert Sentence.of([*before, *chain(*pieces), *after]) == line
    assert all(any(label is not None for _, label in piece) for piece in pieces)
    assert all(label is None for _, label in [*before, *after])


def test_outside_runs_are_cut_in_the_middle_if_they_are_long_enough() -> None:
    long, short = ("o",) * (SHORTEST_CUT + 1), ("o",) * (SHORTEST_CUT - 1)
    line = Sentence.of([(long, None), (("x",), "a"), (short, None), (("y",), "b"), (long, None), (("z",), "b")])
    half, rest = (long[: len(long) // 2], None), (long[len(long) // 2 :], None)
    first = [rest, (("x",), "a"), (short, None), (("y",), "b"), half]
    assert cut(line) == ([half], [first, [rest, (("z",), "b")]], [])
    assert cut(Sentence(short, ())) == ([(short, None)], [], [])
    assert cut(Sentence(long, ())) == ([half], [], [rest])


# recombination


def test_lines_are_joined_of_whole_pieces_and_none_is_longer_than_the_longest() -> None:
    lines = lines_of(2)
    pieces = [piece for line in lines for before, between, after in [cut(line)] for piece in [before, *between, after]]
    known = {tuple(Sentence.of(piece).tokens) for piece in pieces if piece}
    for line in made_of(lines, recombination=3.0):
        places = [tuple(map(int, token.split("."))) for token in line.tokens]
        breaks = [i for i in range(1, len(places)) if places[i] != (places[i - 1][0], places[i - 1][1] + 1)]
        runs = [line.tokens[low:high] for low, high in zip([0, *breaks], [*breaks, len(places)], strict=True)]
        for run in runs:  # neighbours of one line may have met again
            assert run in known or any(run[:i] in known and run[i:] in known for i in range(1, len(run)))
        assert len(line.tokens) <= max(len(other.tokens) for other in lines)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_so_many_lines_are_made_and_so_many_of_them_are_outside(share) -> None:
    lines = lines_of(3)
    made = made_of(lines, recombination=2.0, outside_share=share)
    assert len(made) == 80
    assert sum(not line.gold for line in made) == round(80 * share)
    mixed = [line for line in made if len({token.split(".")[0] for token in line.tokens}) > 1]
    assert len(mixed) > 0.6 * len(made)  # the others are single pieces
    assert sum(line in lines for line in made) < 0.2 * len(made)  # ten outside lines: both halves of one, by chance


def test_as_many_lines_as_there_are_hold_each_token_and_entity_once() -> None:
    """With one line so long that whatever is joined fits: the lines are shuffled to the last token."""
    lines = lines_of(4)
    lines[1] = Sentence(tuple(f"1.{i}" for i in range(1000)), (Span(498, 502, "a"),))
    lines = [line for line in lines if can_be_cut(line)]
    outside = sum(not line.gold for line in lines) / len(lines)
    made = made_of(lines, recombination=1.0, outside_share=outside)
    assert tokens(made) == tokens(lines)
    assert entities(made) == entities(lines)


def can_be_cut(line: Sentence) -> bool:
    before, pieces, after = cut(line)
    return [*before, *chain(*pieces), *after] not in (before, *pieces)


def test_lines_that_cannot_be_cut_are_not_made_again() -> None:
    whole = [line for line in lines_of(3) if not can_be_cut(line)]
    assert len(whole) == 3
    assert made_of(whole, recombination=1.0) == []
    assert not set(made_of(lines_of(3), recombination=1.0)) & set(whole)


@pytest.mark.parametrize("outside", [True, False])
def test_a_kind_of_lines_that_is_not_there_is_not_made(outside) -> None:
    lines = [line for line in lines_of(5) if (not line.gold) == outside]
    made = made_of(lines, recombination=1.0)
    assert len(made) == round(len(lines) * (0.25 if outside else 0.75))
    assert all((not line.gold) == outside for line in made)


# entity swap


def test_swapping_keeps_types_their_order_and_all_that_is_outside() -> None:
    lines = lines_of(6)
    annotated = [line for line in lines if line.gold]
    by_frame = {frame(line): line for line in annotated}
    made = made_of(lines, entity_swap=2.0)
    assert len(made) > 1.5 * len(annotated)
    for line in made:
        source = by_frame[frame(line)]
        assert types(line) == types(source)
        assert line != source
        for (new, label), (old, _) in zip(line.segments, source.segments, strict=True):
            assert (new, label) in entities(lines) or (label is None and new == old)


def frame(line: Sentence) -> tuple:
    return tuple((label or tokens) for tokens, label in line.segments)


def test_so_many_entities_are_swapped_and_always_for_another() -> None:
    lines = lines_of(7, 400)
    for rate in (0.3, 1.0):
        by_frame = {frame(line): line for line in lines if line.gold}
        pairs = [
            (new, old)
            for line in made_of(lines, entity_swap=1.0, swap_rate=rate)
            for (new, label), (old, _) in zip(line.segments, by_frame[frame(line)].segments, strict=True)
            if label is not None
        ]
        total = sum(len(line.gold) for line in lines)  # copies without a change are left out
        assert sum(new != old for new, old in pairs) / total == pytest.approx(rate, abs=0.05)


def test_the_only_entity_of_its_type_stays_and_two_change_places() -> None:
    one, two, only = ((("1",), "a"), (("2", "2"), "a"), (("3",), "b"))
    lines = [Sentence.of([one, only]), Sentence.of([two])]
    made = made_of(lines, entity_swap=1.0, swap_rate=1.0)
    assert sorted(made, key=str) == sorted([Sentence.of([two, only]), Sentence.of([one])], key=str)


def test_every_other_entity_of_the_type_is_as_likely() -> None:
    lines = [Sentence.of([((str(i),), "a")]) for i in range(5)]
    drawn = Counter(line.tokens[0] for line in made_of([*lines, *[lines[0]] * 995], entity_swap=1.0, swap_rate=1.0))
    assert set(drawn) == set("01234")
    assert all(abs(drawn[token] - 249) < 5 * np.sqrt(249 * 0.75) for token in "1234")


# field dropping


def test_dropping_keeps_some_types_whole_and_all_that_is_outside() -> None:
    lines = lines_of(8)
    several = {line.tokens[0].split(".")[0]: line for line in lines if len(set(types(line))) > 1}
    made = made_of(lines, field_dropping=1.0)
    assert len(made) == len(several)
    for line in made:
        source = several[line.tokens[0].split(".")[0]]
        kept = set(types(line))
        assert 0 < len(kept) < len(set(types(source)))
        assert line == Sentence.of(s for s in source.segments if s[1] is None or s[1] in kept)


# shuffling


def test_shuffling_changes_nothing_but_the_order() -> None:
    lines = lines_of(9)
    by_number = {line.tokens[0].split(".")[0]: line for line in lines}
    made = made_of(lines, shuffling=1.0)
    assert made
    for line in made:
        source = by_number[line.tokens[0].split(".")[0]]
        assert tokens([line]) == tokens([source])
        assert entities([line]) == entities([source])
        before, _, after = cut(source)
        joined = "_".join(line.tokens)
        assert joined.startswith("_".join(chain(*(segment for segment, _ in before))))
        assert joined.endswith("_".join(chain(*(segment for segment, _ in after))))
        assert line != source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recombination": -1}, "recombination: expected at least 0, got -1.0"),
        ({"shuffling": -0.1}, "shuffling: expected at least 0, got -0.1"),
        ({"outside_share": 1.5}, "outside_share: expected 0 to 1, got 1.5"),
        ({"swap_rate": 0}, "swap_rate: expected over 0, at most 1, got 0.0"),
    ],
)
def test_impossible_settings_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError) as error:
        AugmentationSettings(**settings)
    assert str(error.value) == message
