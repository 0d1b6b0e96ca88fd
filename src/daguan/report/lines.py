"""The lines with all their labels as JSON for the page, and the inverse of it.

All whole numbers are columns (columns.py). Lines are those that take part in training, then the test lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Score, Span
from daguan.data.marginals import LineMarginals
from daguan.report.columns import bytes_of, offsets, packed, unpacked
from daguan.report.kinds import CORRECT, NO_GOLD, kinds
from daguan.report.tracks import GOLD, Labelled, Spans, Track

TEST_FOLD = 255
BEST = 3  # tags of a token that are kept
SURE = 0.99  # probability of the best tag, from which on a token's marginals are not kept
MOST_KEPT = 240_000  # tokens times tracks of marginals, about 2 MB
MOST_MEMBERS = 8  # whose own marginals are kept


def line_columns(labelled: Labelled, labels: Sequence[str], vocabulary: dict[str, int]) -> dict[str, Any]:
    """Returns tokens, folds and tracks of all lines; `vocabulary` maps tokens to ids, and new ones are added to it.

    labels: what stands for the labels of the scheme on the page.
    """
    text = [vocabulary.setdefault(token, len(vocabulary)) for line in labelled.sentences for token in line.tokens]
    gold = labelled.gold.lines
    return {
        "labels": list(labels),
        "train": len(labelled.train),
        "lines": len(labelled.sentences),
        "text": packed(text),
        "first": packed(offsets(len(line.tokens) for line in labelled.sentences)),
        "folds": packed([*labelled.fold_of_line.tolist(), *([TEST_FOLD] * len(labelled.test))]),
        "tracks": [_track(track, gold, labelled.scheme.labels) for track in labelled.tracks],
        "marginals": _marginals(labelled),
    }


def _track(track: Track, gold: Sequence[Spans], labels: Sequence[str]) -> dict[str, Any]:
    """Returns a track's spans with their kinds, and the fate of each gold span; spans are those of line after line."""
    number = {label: index for index, label in enumerate(labels)}
    lines = track.lines
    spans = [*chain.from_iterable(lines)]
    columns: dict[str, Any] = {
        "first": packed(offsets(map(len, lines))),
        "start": packed([span.start for span in spans]),
        "length": packed([span.stop - span.start for span in spans]),
        "label": packed([number[span.label] for span in spans]),
    }
    if track.role != GOLD:
        judged = [*map(kinds, lines[: len(gold)], gold)]
        rest = sum(map(len, lines[len(gold) :]))
        columns["probability"] = packed(bytes_of([span.probability for span in spans]))
        columns["kind"] = packed([*chain.from_iterable(kind for kind, _ in judged), *([NO_GOLD] * rest)])
        columns["fate"] = packed([*chain.from_iterable(fate for _, fate in judged)])
    return {"name": track.name, "role": track.role, "columns": columns}


class Counted(NamedTuple):
    """The span counts of a track."""

    train: Score
    test: Score


def counts(columns: dict[str, Any]) -> dict[str, Counted]:
    """Returns the counts of each track on the training lines, out of fold, and on the test lines with gold labels, as
    the page counts them."""
    gold, *tracks = columns["tracks"]
    lines = len(unpacked(gold["columns"]["first"])) - 1  # with gold labels
    found = {}
    for track in tracks:
        first, kind = (unpacked(track["columns"][name]) for name in ("first", "kind"))
        parts = []
        for low, high in ((0, columns["train"]), (columns["train"], lines)):
            of_part = kind[first[low] : first[high]]
            golds = unpacked(gold["columns"]["first"])[[low, high]]
            parts.append(Score(int((of_part == CORRECT).sum()), len(of_part), int(golds[1] - golds[0])))
        found[track["name"]] = Counted(*parts)
    return found


def spans_of(track: dict[str, Any], labels: Sequence[str]) -> list[tuple[Span, ...]]:
    """Returns the spans of each line that a track labels; the inverse of what `line_columns` stores."""
    columns = {name: unpacked(column).tolist() for name, column in track["columns"].items()}
    sure = [255] * len(columns["start"])
    spans = [
        Span(start, start + length, labels[label], p / 255)
        for start, length, label, p in zip(
            columns["start"], columns["length"], columns["label"], columns.get("probability", sure), strict=True
        )
    ]
    return [tuple(spans[low:high]) for low, high in zip(columns["first"][:-1], columns["first"][1:], strict=True)]


def _marginals(labelled: Labelled) -> dict[str, Any]:
    """Returns the best tags, with probabilities in 8 bits, of the tokens where the members are unsure.

    `tracks` are the mean and, of few members, each of them; `tokens` (U,) are numbers of tokens in all the text, and
    `tags` and `probabilities` (U, tracks, BEST) flat.
    """
    parts = (labelled.marginals, labelled.test_marginals)
    by_member = [[*chain.from_iterable(part[number] for part in parts)] for number in range(len(labelled.members))]
    own: list[list[LineMarginals]] = by_member if 1 < len(by_member) <= MOST_MEMBERS else []
    means = [*labelled.means()]
    surest = np.concatenate([_surest(lines) for lines in zip(means, *own, strict=True)])
    most = MOST_KEPT // (1 + len(own))
    sure = min([SURE, *np.sort(surest)[most : most + 1].tolist()])
    kept = np.flatnonzero(surest < sure)
    tracks = ["mean", *labelled.members] if own else ["mean"]
    best = [_best(means, kept), *(_best(lines, kept) for lines in own)]
    return {
        "sure": sure,
        "tracks": tracks,
        "tags": list(labelled.scheme.tags),
        "best": min(BEST, len(labelled.scheme)),
        "tokens": packed(kept),
        "tag": packed(np.stack([tags for tags, _ in best], 1).ravel()),
        "probability": packed(bytes_of(np.stack([probs for _, probs in best], 1).ravel())),
    }


def _surest(lines: Iterable[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Returns (T,) the lowest over tracks of the highest probability of a tag."""
    surest: NDArray[np.float32] = np.min([line.max(1) for line in lines], 0).astype(np.float32)
    return surest


def _best(
    lines: Sequence[NDArray[np.floating]], kept: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns (U,BEST) the most probable tags of some tokens, and their probabilities."""
    probs = np.concatenate([*lines])[kept].astype(np.float32)
    order = np.argsort(-probs, 1, kind="stable")[:, :BEST]
    return order, np.take_along_axis(probs, order, 1)
