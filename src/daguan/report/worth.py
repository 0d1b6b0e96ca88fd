"""The worth of members to their blend, by blends without one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from daguan.core.types import Score, Span
from daguan.data.bootstrap import RESAMPLES, paired_gains
from daguan.data.lexicon import String
from daguan.data.span_score import span_scores
from daguan.data.text_index import TextIndex
from daguan.ensemble import blending
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.combination import OutOfFoldData
from daguan.ensemble.span_candidates import Floats, decoded_by
from daguan.pipeline.stages import Stages
from daguan.report.tracks import MEAN, Labelled
from daguan.training.prediction import annotate

MOST_BLENDED = 60e6  # tokens of train times squared members; up to it the blend itself is fitted without each member
STACK = "stack"  # the method that reads what members decode
NOTHING: dict[str, Any] = {"how": "", "without": {}, "interval": {}, "by_fold": {}}


def worth(stages: Stages, labelled: Labelled) -> dict[str, Any]:
    """Returns for each member the out-of-fold span F1 that the blend loses without it: in all, with a 95 % interval,
    and on each fold, whose lines no combination has seen that labels them.

    The blend is fitted again without the member; the plain means of members are compared where that would take minutes.
    """
    names = labelled.members
    if len(names) < 2:
        return NOTHING
    method = stages.answered()["method"]
    work = len(names) ** 2 * sum(len(line.tokens) for line in labelled.train)
    track = labelled.final
    if method != blending.MEAN and work > MOST_BLENDED:
        method, track = blending.MEAN, next(one for one in labelled.tracks if one.role == MEAN)
    data = shared_data(stages.prepared.blend_data(stages.settings.blend), labelled, method)
    return NOTHING | {"how": method} | worths(labelled, track.train, [*without_each(data, method)])


def shared_data(data: OutOfFoldData, labelled: Labelled, method: str) -> OutOfFoldData:
    """Returns what a blend of all members is fitted to, with what blends of some of them would compute again."""
    text = None if data.text is None else _Remembering(data.text)
    decoded = [decoded_by(member, labelled.scheme) for member in labelled.marginals] if method == STACK else None
    return replace(data, marginals=labelled.marginals, text=text, decoded=decoded)


def without_each(data: OutOfFoldData, method: str) -> list[list[tuple[Span, ...]]]:
    """Returns for each member the spans of each line by a blend without it, out of fold."""
    learner, members = METHODS[method].load().learner, range(len(data.marginals))
    found = []
    for out in members:
        others = [member for member in members if member != out]
        decoded = None if data.decoded is None else [data.decoded[member] for member in others]
        some = replace(data, marginals=[data.marginals[member] for member in others], decoded=decoded)
        found.append(blending.nested_spans(learner(some), some))
    return found


def worths(
    labelled: Labelled, whole: Sequence[tuple[Span, ...]], without: Sequence[Sequence[tuple[Span, ...]]]
) -> dict[str, Any]:
    """Returns the worth of each member in all, with its interval, and on each fold."""
    gold = annotate(labelled.train, labelled.gold.train)
    ours, *others = (span_scores(annotate(gold, spans), gold) for spans in (whole, *without))
    gains = dict(zip(labelled.members, paired_gains(ours, others, RESAMPLES), strict=True))
    by_fold = _f1s(ours, labelled)[None] - np.stack([_f1s(scores, labelled) for scores in others])
    return {
        "without": {name: gain.f1 for name, gain in gains.items()},
        "interval": {name: list(gain.interval) for name, gain in gains.items()},
        "by_fold": dict(zip(labelled.members, by_fold.tolist(), strict=True)),
    }


def _f1s(scores: Sequence[Score], labelled: Labelled) -> Floats:
    """Returns (folds,) the F1 of the lines of each fold."""
    sums = [Score()] * (int(labelled.fold_of_line.max()) + 1)
    for score, fold in zip(scores, labelled.fold_of_line.tolist(), strict=True):
        sums[fold] += score
    return np.array([one.f1 for one in sums])


class _Remembering(TextIndex):
    """An index of text that describes each string once."""

    def __init__(self, index: TextIndex) -> None:
        self._index, self._rows = index, dict[String, Floats]()

    def features(self, strings: Sequence[String]) -> Floats:
        if new := [string for string in dict.fromkeys(strings) if string not in self._rows]:
            self._rows |= zip(new, self._index.features(new), strict=True)
        return np.stack([self._rows[string] for string in strings]) if strings else self._index.features([])
