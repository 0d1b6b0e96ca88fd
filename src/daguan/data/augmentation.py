"""Creates additional training lines from the training lines of a fold, and from nothing else.

The new lines are drawn once, before training, and appended to the originals: an epoch gets longer, and a resumed run
sees the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from daguan.core.needs import over_zero
from daguan.core.seeds import stream
from daguan.core.settings import Section, setting
from daguan.core.types import Segment, Sentence

SHORTEST_CUT = 6  # tokens of an outside run; shorter runs are not cut (rank 5's code: more than 5)

Piece = list[Segment]
Item = TypeVar("Item")


class AugmentationSettings(Section):
    """How many lines each way of augmentation adds for each training line that it can change: 1 doubles these lines, 0
    adds none. Copies that equal their original are left out."""

    recombination: float = setting(
        0.0,
        "Lines put together from pieces of all lines, which are cut in the middle of outside runs (rank 5 of the "
        "contest, github.com/shifop/datagrand_bert §3: 1, worth +0.005).",
        ge=0,
    )
    outside_share: float = setting(
        0.25,
        "Share of the recombined lines that hold no entity (rank 5: 0.25, as among the contest's own lines; without "
        "them recombination gained nothing or lost).",
        ge=0, le=1, reads_when=over_zero("augmentation.recombination"),
    )  # fmt: skip
    entity_swap: float = setting(
        0.0,
        "Copies in which entities are replaced by others of their type (mention replacement, Dai & Adel 2020, arXiv "
        "2010.11683 §3).",
        ge=0,
    )
    swap_rate: float = setting(
        0.5, "Probability that an entity is replaced.", gt=0, le=1, reads_when=over_zero("augmentation.entity_swap")
    )
    field_dropping: float = setting(
        0.0,
        "Copies of lines with several entity types, without the entities of some of them (rank 9's "
        "prepare_fold_data.py, there for fixed sets of types).",
        ge=0,
    )
    shuffling: float = setting(
        0.0,
        "Copies with the pieces of the line in another order; the text before the first piece and after the last "
        "stays.",
        ge=0,
    )


def augment(lines: Sequence[Sentence], settings: AugmentationSettings, seed: int) -> list[Sentence]:
    """Returns the annotated lines, followed by the new ones; each method draws from its own random stream."""
    made = [make(lines, settings, stream(seed, "augmentation", way)) for way, make in WAYS.items()]
    return [*lines, *chain.from_iterable(made)]


def cut(line: Sentence) -> tuple[Piece, list[Piece], Piece]:
    """Returns the part before the first piece with an entity, these pieces, and the part after the last.

    Each outside run of at least SHORTEST_CUT tokens is cut in the middle, so that each half stays with the entities
    next to it. Concatenated in order the pieces are the line; the first and the last part may be empty.
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
    """Yields lines made of pieces of lines with entities, or of lines without; none where a kind is missing."""
    count = round(settings.recombination * len(lines))
    outside = round(settings.outside_share * count)
    yield from _recombined([line for line in lines if not line.gold], outside, rng)
    yield from _recombined([line for line in lines if line.gold], count - outside, rng)


def _recombined(lines: Sequence[Sentence], count: int, rng: np.random.Generator) -> Iterator[Sentence]:
    """Yields `count` lines, each with as many pieces as some line has, and no longer than the longest line.

    Lines of a single piece provide none. With as many new lines as lines, each piece is used once, if all fit.
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
    """Returns the joined pieces. Where these are too long, drops first the ends, then all pieces but the first."""
    choices = ([before, *pieces, after], [before, *pieces], pieces, pieces[:1])
    joined = (Sentence.of(chain.from_iterable(choice)) for choice in choices)
    return next(line for line in joined if len(line.tokens) <= longest)


def swapped(lines: Sequence[Sentence], settings: AugmentationSettings, rng: np.random.Generator) -> Iterator[Sentence]:
    """Yields changed copies in which entities are replaced by a distinct entity of the same type, drawn uniformly."""
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
    """Returns the distinct entities of each type, in order of appearance."""
    found: dict[str, dict[tuple[str, ...], None]] = {}
    for line in lines:
        for tokens, label in line.segments:
            if label is not None:
                found.setdefault(label, {})[tokens] = None
    return {label: list(entities) for label, entities in found.items()}


def _another(item: Item, items: Sequence[Item], rng: np.random.Generator) -> Item:
    """Returns a random item other than `item`, or `item` if it is the only one; the items are distinct."""
    place = int(rng.integers(max(1, len(items) - 1)))
    return items[place] if items[place] != item else items[-1]


def without_fields(
    lines: Sequence[Sentence], settings: AugmentationSettings, rng: np.random.Generator
) -> Iterator[Sentence]:
    """Yields copies without the entities of some types; how many types, and which, is drawn uniformly."""
    several = [line for line in lines if len(_types(line)) > 1]
    for line in _copies(several, settings.field_dropping, rng):
        types = _types(line)
        selected = {types[i] for i in rng.permutation(len(types))[: rng.integers(1, len(types))]}
        yield Sentence.of(segment for segment in line.segments if segment[1] is None or segment[1] in selected)


def _types(line: Sentence) -> list[str]:
    return sorted({span.label for span in line.gold})


def shuffled(lines: Sequence[Sentence], settings: AugmentationSettings, rng: np.random.Generator) -> Iterator[Sentence]:
    """Yields changed copies with the pieces in another order."""
    several = [line for line in lines if len(cut(line)[1]) > 1]
    for line in _copies(several, settings.shuffling, rng):
        before, pieces, after = cut(line)
        order = rng.permutation(len(pieces))
        made = Sentence.of(chain(before, *(pieces[i] for i in order), after))
        if made != line:
            yield made


def _copies(lines: Sequence[Sentence], share: float, rng: np.random.Generator) -> list[Sentence]:
    """Returns `share` copies of each line; how often two lines are taken differs by at most one."""
    return list(islice(_deck(lines, rng), round(share * len(lines))))


def _deck(items: Sequence[Item], rng: np.random.Generator) -> Iterator[Item]:
    """Yields all items in random order, again and again."""
    while items:
        yield from (items[i] for i in rng.permutation(len(items)))


WAYS: dict[str, Callable[[Sequence[Sentence], AugmentationSettings, np.random.Generator], Iterator[Sentence]]] = {
    "recombination": recombined,
    "entity_swap": swapped,
    "field_dropping": without_fields,
    "shuffling": shuffled,
}
