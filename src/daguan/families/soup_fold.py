"""Soups: one tagger whose weights are the average of several that were fine-tuned from the same first weights (Wortsman
et al. 2022, arXiv 2203.05482)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.core.runs import Stopwatch
from daguan.families.fold import MODEL, FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.tagger_fold import answer
from daguan.nn.averaging import copy_into, mean_weights
from daguan.training.prediction import TrainedTagger


def average(members: Sequence[TrainedTagger]) -> TrainedTagger:
    """Returns the first member with the average of all members' weights. Raises CheckpointError: they differ in more
    than weights."""
    first = members[0]
    for member in members:
        _check_alike(first, member)
    copy_into(first.tagger, mean_weights([_weights(member.tagger) for member in members]))
    return first


def _check_alike(first: TrainedTagger, member: TrainedTagger) -> None:
    alike = {
        "labels": member.scheme.labels == first.scheme.labels,
        "vocabulary": member.vocabulary.entries == first.vocabulary.entries,
        "pieces": _entries(member) == _entries(first),
        "window": (member.window, member.overlap) == (first.window, first.overlap),
        "shapes of weights": _shapes(member.tagger) == _shapes(first.tagger),
    }
    for what, same in alike.items():
        if not same:
            raise CheckpointError(f"soup: expected members with the same {what}, got different ones")


def _entries(member: TrainedTagger) -> tuple[str, ...]:
    return member.pieces.vocabulary.entries if member.pieces else ()


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Returns the weights by name, those that are shared once."""
    return {name: weight.detach() for name, weight in model.named_parameters()}


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in _weights(model).items()}


def train(job: FoldJob, data: FoldData, report: Report) -> FoldResult:
    """Averages the taggers that other members trained on this fold, saves the average, and answers. A killed fold
    starts again. Raises CheckpointError: they are missing, or cannot be averaged."""
    watch = Stopwatch()
    trained = average([TrainedTagger.load(Path(folder) / MODEL, job.engine) for folder in job.needed])
    trained.save(Path(job.folder) / MODEL)
    return answer(trained, data, job.engine, {"seconds": round(watch.seconds, 1)})
