"""Augmentation: more training lines, made of a fold's own training lines and of nothing else.

They are drawn once, before training, and added to the lines they are made of, as the sources do: an epoch is so much
longer, and a resumed run has the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import ClassVar, TypeVar

import numpy as np

from daguan.core.seeds import stream
from daguan.core.settings import Need, require
from daguan.core.types import Segment, Sentence

SHORTEST_CUT = 6  # tokens of an outside run that is cut (rank 5's code: more than 5)

Piece = list[Segment]
Item = TypeVar("Item")


@dataclass(frozen=True)
class AugmentationSettings:
    """How many lines each way adds for each training line, of those that it can change: 1 is as many again, 0 none.

    recombination: lines put together from pieces of all lines, which are cut in the middle of outside runs (rank 5 of
    the contest, github.com/shifop/datagrand_bert §3: 1, worth +0.005). outside_share: how many of these lines are
    outside altogether (rank 5: .25, as among the contest's own lines; without them it gained nothing or lost).
    entity_swap: copies in which each entity is replaced, with probability swap_rate, by another of its type (mention
    replacement of Dai & Adel 2020, arXiv 2010.11683 §3). field_dropping: copies of lines with several types, without
    the entities of some of them (rank 9's prepare_fold_data.py, there for fixed sets of types). shuffling: copies with
    the pieces of the line in another order, but for what stands before the first and after the last. Copies that come
    out as they were are left out."""

    recombination: float = 0.0
    outside_share: float = 0.25
    entity_swap: float = 0.0
    swap_rate: float = 0.5
    field_dropping: float = 0.0
    shuffling: float = 0.0
    NEEDS: ClassVar[tuple[Need[AugmentationSettings], ...]] = (
        Need("outside_share", "augmentation.recombination is over 0", lambda made: made.recombination > 0),
        Need("swap_rate", "augmentation.entity_swap is over 0", lambda made: made.entity_swap > 0),
    )

    @property
    def shares(self) -> dict[str, float]:
        """How many lines each way adds, of those that add any."""
        return {way: share for way in WAYS if (share := getattr(self, way))}

    def __post_init__(self) -> None:
        for name in WAYS:
            require(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        require("outside_share", 0 <= self.outside_share <= 1, "0 to 1", self.outside_share)
        require("swap_rate", 0 < self.swap_rate <= 1, "over 0, at most 1", self.swap_rate)


def augmented(lines: Sequence[Sentence], settings: AugmentationSettings, seed: int) -> list[Sentence]:
    """The annotated lines, and after them those made of them, each way from a random stream of its own."""
    made = [make(lines, settings, stream(seed, "augmentation", way)) for way, make in WAYS.items()]
    return [*lines, *chain.from_iterable(made)]


def added(lines: Sequence[Sentence], settings: AugmentationSettings, seed: int) -> dict[str, float]:
    """By way, the tokens that it adds to each token of the lines where its setting is 1."""
    ones, tokens = replace(settings, **dict.fromkeys(WAYS, 1.0)), sum(len(line.tokens) for line in lines)
    made = {way: make(lines, ones, stream(seed, "augmentation", way)) for way, make in WAYS.items()}
    return {way: sum(len(line.tokens) for line in of_way) / tokens for way, of_way in made.items()}


def cut(line: Sentence) -> tuple[Piece, list[Piece], Piece]:
    """What stands before the first piece that holds an entity, those pieces, and what stands after the last.

    Each outside run that is long enough is cut in the middle, so that half of it goes with the entities on either side.
    All pieces in order are the line; the first and the last may be empty.
    """
    pieces: list[Piece] = [[]]
    for tokens, label in line.segments:
        if label is None and len(tokens) >= SHORTEST_CUT:
            half = len(tokens) // 2
            pieces[-1].append((tokens[:half], None))
            pieces.append([(tokens[half:], None)])
        else:
            pieces[-1].append((tokens, label))
    before = [] if _has_entity(pieces[0]) else pieces.pop(0)
    after = pieces.pop() if pieces and not _has_entity(pieces[-1]) else []
    return before, pieces, after


def _has_entity(piece: Piece) -> bool:
    return any(label is not None for _, label in piece)


def recombined(
    lines: Sequence[Sentence], settings: AugmentationSettings, rng: np.random.Generator
) -> Iterator[Sentence]:
    """Lines with entities from such lines, and outside ones from outside ones; where a kind is missing, none of it."""
    count = round(settings.recombination * len(lines))
    outside = round(settings.outside_share * count)
    yield from _recombined([line for line in lines if not line.gold], outside, rng)
    yield from _recombined([line for line in lines if line.gold], count - outside, rng)


def _recombined(lines: Sequence[Sentence], count: int, rng: np.random.Generator) -> Iterator[Sentence]:
    """Each with as many pieces as one of the lines has, and no longer than the longest; lines of one piece give none.

    As many lines as there are use each piece once, if all fit.
    """
    several = [parts for parts in map(cut, lines) if sum(map(bool, (parts[0], *parts[1], parts[2]))) > 1]
    if not several:
        return
    before, between, after = zip(*several, strict=True)
    starts, ends = _deck(before, rng), _deck(after, rng)
    pieces, sizes = _deck(list(chain.from_iterable(between)), rng), _deck(list(map(len, between)), rng)
    longest = max(len(line.tokens) for line in lines)
    for _ in range(count):
        yield _join(next(starts), list(islice(pieces, next(sizes))), next(ends), longest)


def _join(before: Piece, pieces: list[Piece], after: Piece, longest: int) -> Sentence:
    """The ends are left out, and then all pieces but the first, if the line would get too long."""
    choices = ([before, *pieces, after], [before, *pieces], pieces, pieces[:1])
    joined = (Sentence.of(chain.from_iterable(choice)) for choice in choices)
    return next(line for line in joined if len(line.tokens) <= longest)


def swapped(lines: Sequence[Sentence], settings: AugmentationSettings, rng: np.random.Generator) -> Iterator[Sentence]:
    """Copies with entities replaced, each distinct entity of the type as likely as another; unchanged ones left out."""
    entities = _distinct_entities(lines)

    def swap(tokens: tuple[str, ...], label: str | None) -> Segment:
        if label is None or rng.random() >= settings.swap_rate:
            return tokens, label
        return _another(tokens, entities[label], rng), label

    for line in _copies([line for line in lines if line.gold], settings.entity_swap, rng):
        made = Sentence.of(swap(*segment) for segment in line.segments)
        if made != line:
            yield made


def _distinct_entities(lines: Sequence[Sentence]) -> dict[str, list[tuple[str, ...]]]:
    """Of each type, its entities' tokens, once each and in order of appearance."""
    found: dict[str, dict[tuple[str, ...], None]] = {}
    for line in lines:
        for tokens, label in line.segments:
            if label is not None:
                found.setdefault(label, {})[tokens] = None
    return {label: list(entities) for label, entities in found.items()}


def _another(item: Item, items: Sequence[Item], rng: np.random.Generator) -> Item:
    """One of the distinct items, not this one unless it is the only one."""
    place = int(rng.integers(max(1, len(items) - 1)))
    return items[place] if items[place] != item else items[-1]


def without_fields(
    lines: Sequence[Sentence], settings: AugmentationSettings, rng: np.random.Generator
) -> Iterator[Sentence]:
    """Copies without the entities of some types, one at least and not all: how many, and which, is drawn evenly."""
    several = [line for line in lines if len(_types(line)) > 1]
    for line in _copies(several, settings.field_dropping, rng):
        types = _types(line)
        kept = {types[i] for i in rng.permutation(len(types))[: rng.integers(1, len(types))]}
        yield Sentence.of(segment for segment in line.segments if segment[1] is None or segment[1] in kept)


def _types(line: Sentence) -> list[str]:
    return sorted({span.label for span in line.gold})


def shuffled(lines: Sequence[Sentence], settings: AugmentationSettings, rng: np.random.Generator) -> Iterator[Sentence]:
    """Copies with their pieces in another order; those that happen to be as they were are left out."""
    several = [line for line in lines if len(cut(line)[1]) > 1]
    for line in _copies(several, settings.shuffling, rng):
        before, pieces, after = cut(line)
        order = rng.permutation(len(pieces))
        made = Sentence.of(chain(before, *(pieces[i] for i in order), after))
        if made != line:
            yield made


def _copies(lines: Sequence[Sentence], share: float, rng: np.random.Generator) -> list[Sentence]:
    """So many for each line; each line as often as any other, give or take one."""
    return list(islice(_deck(lines, rng), round(share * len(lines))))


def _deck(items: Sequence[Item], rng: np.random.Generator) -> Iterator[Item]:
    """All items in random order, again and again."""
    while items:
        yield from (items[i] for i in rng.permutation(len(items)))


WAYS: dict[str, Callable[[Sequence[Sentence], AugmentationSettings, np.random.Generator], Iterator[Sentence]]] = {
    "recombination": recombined,
    "entity_swap": swapped,
    "field_dropping": without_fields,
    "shuffling": shuffled,
}
