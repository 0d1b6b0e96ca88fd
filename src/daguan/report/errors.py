"""Tables of errors: F1 by type, length, frequency and fold, kinds of errors, and the confusion of types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from pandas import DataFrame

from daguan.api.frames import entities
from daguan.core.types import Sentence, Span
from daguan.report.kinds import NAMES, kinds
from daguan.report.tracks import Labelled, Track

NOTHING = "–"  # in place of a type: no span
SIZES = ((1, 1, "1 token"), (2, 2, "2"), (3, 3, "3"), (4, 5, "4–5"), (6, 9, "6–9"), (10, 10**9, "10 or more"))
TIMES = ((0, 0, "unseen"), (1, 1, "once"), (2, 3, "2–3"), (4, 9, "4–9"), (10, 10**9, "10 or more"))
WAYS = {"type": "type", "length": "tokens", "frequency": "in the other folds", "seen": "string", "fold": "fold"}


def frame(lines: Sequence[Sentence], spans: Sequence[Sequence[Span]], seen: Sequence[Mapping[str, int]]) -> DataFrame:
    """Returns a row for each entity, with what F1 is divided by; `seen` counts for each line the strings that the
    models of that line were taught as entities."""
    found = entities([line.tokens for line in lines], spans)
    times = [seen[line].get(text, 0) for line, text in zip(found["line"], found["text"], strict=True)]
    sizes = (found["stop"] - found["start"]).tolist()
    return found.assign(
        type=found["label"],
        length=[_bin(size, SIZES) for size in sizes],
        frequency=[_bin(count, TIMES) for count in times],
        seen=["seen" if count else "unseen" for count in times],
    )


def _bin(value: int, bins: Sequence[tuple[int, int, str]]) -> str:
    return next(name for low, high, name in bins if low <= value <= high)


def by_property(labelled: Labelled, labels: Mapping[str, str]) -> DataFrame:
    """Returns precision, recall and F1 of every track, out of fold, by each property of an entity.

    A predicted entity counts in its own class, and so does a gold one, so that the counts of the classes of one
    property add up to those of all entities. labels: the user's, by those of the scheme.
    """
    seen = _taught(labelled)
    gold = _prepared(frame(labelled.train, labelled.gold.train, seen), labelled, labels)
    rows = []
    for track in labelled.answers:
        ours = _prepared(frame(labelled.train, track.train, seen), labelled, labels)
        keys = set(zip(*(gold[name] for name in ("line", "start", "stop", "type")), strict=True))
        ours["hit"] = [key in keys for key in zip(*(ours[n] for n in ("line", "start", "stop", "type")), strict=True)]
        for way in WAYS:
            counted = DataFrame(
                {
                    "gold": gold.groupby(way).size(),
                    "predicted": ours.groupby(way).size(),
                    "hits": ours.groupby(way)["hit"].sum(),
                }
            ).fillna(0)
            rows.append(counted.astype(int).rename_axis("class").reset_index().assign(by=way, track=track.name))
    table = _concatenated(rows)
    table["precision"] = table["hits"] / table["predicted"].where(table["predicted"] > 0, 1)
    table["recall"] = table["hits"] / table["gold"].where(table["gold"] > 0, 1)
    table["f1"] = 2 * table["hits"] / (table["gold"] + table["predicted"])
    order = {name: number for number, name in enumerate([*(n for *_, n in SIZES), *(n for *_, n in TIMES), "seen"])}
    key = table["class"].map(lambda name: (order.get(name, -1), name))
    table = table.assign(_way=table["by"].map([*WAYS].index), _key=key)
    return table.sort_values(["_way", "_key"], kind="stable", ignore_index=True).drop(columns=["_way", "_key"])


def _concatenated(tables: Sequence[DataFrame]) -> DataFrame:
    from pandas import concat

    return concat(tables, ignore_index=True)


def _prepared(table: DataFrame, labelled: Labelled, labels: Mapping[str, str]) -> DataFrame:
    folds = labelled.fold_of_line[table["line"].to_numpy(np.int64)]
    return table.assign(fold=[f"fold {fold}" for fold in folds], type=table["type"].map(labels.get))


def _taught(labelled: Labelled) -> list[Counter[str]]:
    """Returns for each training line the entities of the other folds, by their string."""
    folds = range(int(labelled.fold_of_line.max(initial=0)) + 1)
    by_fold: list[Counter[str]] = [Counter() for _ in folds]
    for line, fold in zip(labelled.train, labelled.fold_of_line.tolist(), strict=True):
        by_fold[fold].update("_".join(line.tokens[span.start : span.stop]) for span in line.gold)
    everything = sum(by_fold, Counter())
    others = [everything - own for own in by_fold]
    return [others[fold] for fold in labelled.fold_of_line.tolist()]


def by_kind(labelled: Labelled) -> DataFrame:
    """Returns for each track the number of entities of each kind, out of fold."""
    rows = []
    for track in labelled.answers:
        judged = [kinds(ours, theirs) for ours, theirs in zip(track.train, labelled.gold.train, strict=True)]
        counted = Counter(chain.from_iterable(of_predicted for of_predicted, _ in judged))
        missed = Counter(chain.from_iterable(of_gold for _, of_gold in judged))
        missed_kind = NAMES.index("missed")
        rows.append({"track": track.name} | {name: counted[kind] for kind, name in enumerate(NAMES)})
        rows[-1]["missed"] = missed[missed_kind]
    return DataFrame(rows)


def found_by_none(labelled: Labelled) -> float:
    """Returns the share of gold entities that no member gives, out of fold: no combination of these can find them."""
    members = [track for track in labelled.answers if track.name in labelled.members]
    given = [set[Span]().union(*(track.train[line] for track in members)) for line in range(len(labelled.train))]
    missed = [span not in ours for ours, line in zip(given, labelled.gold.train, strict=True) for span in line]
    return sum(missed) / max(1, len(missed))


def confusion(labelled: Labelled, track: Track, labels: Mapping[str, str]) -> DataFrame:
    """Returns the number of entities by gold type (rows) and predicted type (columns), out of fold.

    A predicted entity stands in the row of the gold one that it overlaps most; `–` is no entity.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for ours, theirs in zip(track.train, labelled.gold.train, strict=True):
        met = set()
        for span in ours:
            overlaps = [(min(span.stop, gold.stop) - max(span.start, gold.start), -gold.start, gold) for gold in theirs]
            size, _, gold = max(overlaps, key=lambda one: one[:2], default=(0, 0, span))
            counts[labels[gold.label] if size > 0 else NOTHING, labels[span.label]] += 1
            met |= {other.start for length, _, other in overlaps if length > 0}
        for gold in theirs:
            if gold.start not in met:
                counts[labels[gold.label], NOTHING] += 1
    names = [*sorted(labels.values()), NOTHING]
    return DataFrame([[counts[row, column] for column in names] for row in names], names, names)


def disagreement(labelled: Labelled) -> DataFrame:
    """Returns 1 − F1 of each track against each other one, out of fold."""
    tracks = labelled.answers
    sets = [
        {(line, span.start, span.stop, span.label) for line, spans in enumerate(track.train) for span in spans}
        for track in tracks
    ]
    rows = [[1 - 2 * len(a & b) / max(1, len(a) + len(b)) if a or b else 0.0 for b in sets] for a in sets]
    names = [track.name for track in tracks]
    return DataFrame(rows, names, names)
