"""What may be wrong with the labels: suspected errors, strings labelled in several ways, and rare types."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from daguan.core.types import Span
from daguan.data.marginals import LineMarginals, mean
from daguan.data.span_probabilities import span_probability
from daguan.report.kinds import CORRECT, MISSED, NAMES, SPURIOUS, kinds
from daguan.report.occurrences import String, Text, occurrences
from daguan.report.tracks import Labelled

MOST = 300  # rows of a table
RARE = 20  # entities of a rare type


def label_errors(labelled: Labelled, labels: Mapping[str, str]) -> DataFrame:
    """Returns the gold labels that the models doubt most, by falling suspicion.

    The models had not seen the lines. The suspicion is how sure they are of what the blend answers instead: P(answer)
    times 1 − P(gold entity), the one by the blend, the other by the mean of the members' marginals; P(answer) alone
    where gold has nothing. Where the blend answers nothing, its recall stands for P(answer), as models miss many
    entities that are right. Entities that gold and the blend give are no suspects.
    """
    compared = [kinds(ours, gold) for ours, gold in zip(labelled.final.train, labelled.gold.train, strict=True)]
    kinds_of_gold = [kind for _, of_gold in compared for kind in of_gold]
    recall = kinds_of_gold.count(CORRECT) / max(1, len(kinds_of_gold))
    rows: list[dict[str, Any]] = []
    for number, probs in enumerate(mean(labelled.marginals)):
        for span, suspicion, why in _suspects(labelled, number, probs, compared[number], recall):
            rows.append(
                {
                    "line": number,
                    "start": span.start,
                    "stop": span.stop,
                    "type": labels[span.label],
                    "string": "_".join(labelled.train[number].tokens[span.start : span.stop]),
                    "suspicion": float(suspicion),
                    "why": why,
                    "agree": sum(span in track.train[number] for track in labelled.answers),
                }
            )
    table = DataFrame(rows, columns=["line", "start", "stop", "type", "string", "suspicion", "why", "agree"])
    return table.sort_values("suspicion", ascending=False, kind="stable", ignore_index=True).head(MOST)


def _suspects(
    labelled: Labelled,
    number: int,
    probs: LineMarginals,
    compared: tuple[Sequence[int], Sequence[int]],
    recall: float,
) -> Iterator[tuple[Span, float, str]]:
    """Yields the suspected entities of a training line, each with its suspicion and the reason.

    probs (T,K): the mean marginals of the line; compared: the kinds of its predicted entities, and of its gold ones.
    """
    gold, predicted = labelled.gold.train[number], labelled.final.train[number]
    of_predicted, of_gold = compared
    for span, kind in zip(gold, of_gold, strict=True):
        if kind != CORRECT:
            overlapping = [
                other.probability for other in predicted if other.start < span.stop and span.start < other.stop
            ]
            doubt = 1 - span_probability(probs, span, labelled.scheme)
            yield span, max(overlapping, default=recall) * doubt, f"gold entity is {NAMES[kind]}"
    for span, kind in zip(predicted, of_predicted, strict=True):
        if kind == SPURIOUS:
            yield span, span.probability, "entity is not in gold"


def ambiguous_strings(labelled: Labelled, labels: Mapping[str, str]) -> DataFrame:
    """Returns the strings that gold labels in several ways, or labels at some places only: how often each, and at how
    many places they stand outside of any entity."""
    golds: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for line in labelled.train:
        for span in line.gold:
            golds[line.tokens[span.start : span.stop]][span.label] += 1
    outside = _outside(labelled, [*golds])
    rows = []
    for number, string in enumerate(golds):
        ways = golds[string].most_common() + ([("", outside[number])] if outside[number] else [])
        if len(ways) > 1:
            minority = sum(count for _, count in ways) - max(count for _, count in ways)
            named = ", ".join(f"{labels[label]} {count}" for label, count in golds[string].most_common())
            rows.append(
                {
                    "string": "_".join(string),
                    "labels": named,
                    "types": len(golds[string]),
                    "outside": outside[number],
                    "minority": minority,
                }
            )
    table = DataFrame(rows, columns=["string", "labels", "types", "outside", "minority"])
    return table.sort_values(["types", "minority"], ascending=False, kind="stable", ignore_index=True).head(MOST)


def _outside(labelled: Labelled, strings: Sequence[String]) -> list[int]:
    """Returns at how many places in train each string shares no token with a gold entity."""
    text = Text(line.tokens for line in labelled.train)
    taken = np.zeros(len(text.ids) + 1, np.int64)  # tokens of entities before each place
    for begin, line in zip(text.first.tolist(), labelled.train, strict=True):
        for span in line.gold:
            taken[begin + span.start + 1 : begin + span.stop + 1] = 1
    taken = np.cumsum(taken)
    places = occurrences(strings, text)
    apart = taken[places.start] == taken[places.stop]
    return [int(count) for count in np.bincount(places.string[apart], minlength=len(strings))]


def types(labelled: Labelled, labels: Mapping[str, str]) -> DataFrame:
    """Returns a row for each type: gold entities, distinct strings, lines, the share missed, and whether it is rare."""
    spans: dict[str, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
    missed: Counter[str] = Counter()
    for number, line in enumerate(labelled.train):
        _, fates = kinds(labelled.final.train[number], line.gold)
        for span, fate in zip(line.gold, fates, strict=True):
            spans[span.label].append((number, line.tokens[span.start : span.stop]))
            missed[span.label] += fate == MISSED
    rows = [
        {
            "type": labels[label],
            "entities": len(of_type),
            "strings": len({string for _, string in of_type}),
            "lines": len({line for line, _ in of_type}),
            "missed": missed[label] / len(of_type),
            "rare": len(of_type) < RARE,
        }
        for label, of_type in sorted(spans.items())
    ]
    return DataFrame(rows).sort_values("entities", kind="stable", ignore_index=True)
