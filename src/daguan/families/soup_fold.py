"""Soups: one tagger whose weights are the average of several that were fine-tuned from the same first weights (Wortsman
et al. 2022, arXiv 2203.05482)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.core.progress import Progress
from daguan.core.runs import Stopwatch
from daguan.families.fold import MODEL, FoldData, FoldJob, FoldResult, Report
from daguan.families.jobs import score_held_out
from daguan.families.soup_settings import CHOICES
from daguan.families.tagger_fold import answer
from daguan.nn.averaging import copy_into, mean_weights
from daguan.training.prediction import TrainedTagger

Judge = Callable[[TrainedTagger], float]


class Soup:
    """Taggers whose weights can be averaged. Raises CheckpointError: they differ in more than weights."""

    def __init__(self, members: Sequence[TrainedTagger]) -> None:
        self.weights = [_weights(member.tagger) for member in members]
        self.weights[0] = {name: weight.clone() for name, weight in self.weights[0].items()}  # as it is stirred into
        self.trained = members[0]
        for member, weights in zip(members, self.weights, strict=True):
            self._check(member, weights)

    def __len__(self) -> int:
        return len(self.weights)

    def stir(self, chosen: Sequence[int]) -> TrainedTagger:
        """The average of these members; it holds until the next one is stirred."""
        copy_into(self.trained.tagger, mean_weights([self.weights[i] for i in chosen]))
        return self.trained

    def _check(self, member: TrainedTagger, weights: dict[str, Tensor]) -> None:
        first = self.trained
        alike = {
            "labels": member.scheme.labels == first.scheme.labels,
            "vocabulary": member.vocabulary.entries == first.vocabulary.entries,
            "window": (member.window, member.overlap) == (first.window, first.overlap),
            "shapes of weights": _shapes(weights) == _shapes(self.weights[0]),
        }
        for what, same in alike.items():
            if not same:
                raise CheckpointError(f"soup: expected members with the same {what}, got different ones")


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """By name, those that are shared once."""
    return {name: weight.detach() for name, weight in model.named_parameters()}


def _shapes(weights: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in weights.items()}


def uniform(soup: Soup, judge: Judge) -> list[int]:
    """All."""
    return list(range(len(soup)))


def greedy(soup: Soup, judge: Judge) -> list[int]:
    """The best one, and in falling order each that does not make the average worse, by what `judge` says."""
    alone = [judge(soup.stir([member])) for member in range(len(soup))]
    best, *others = sorted(range(len(soup)), key=lambda member: -alone[member])
    chosen, reached = [best], alone[best]
    for member in others:
        found = judge(soup.stir([*chosen, member]))
        if found >= reached:
            chosen, reached = [*chosen, member], found
    return chosen


def train(job: FoldJob, data: FoldData, report: Report) -> FoldResult:
    """Averages the taggers that other members trained on this fold, saves the average, and answers. A killed fold
    starts again. Raises CheckpointError: they are missing, or cannot be averaged."""
    settings, watch = job.settings.soup, Stopwatch()
    soup = Soup([TrainedTagger.load(Path(folder) / MODEL, job.engine) for folder in job.needed])
    f1s: list[float] = []

    def judge(trained: TrainedTagger) -> float:
        f1s.append(score_held_out(data, trained.marginals(data.held_out, job.engine))[1].f1)
        report(Progress(len(f1s), 2 * len(soup) - 1, "soup", f"F1 {100 * f1s[-1]:.2f}"))
        return f1s[-1]

    chosen = CHOICES[settings.choice].load()(soup, judge)
    trained = soup.stir(chosen)
    trained.save(Path(job.folder) / MODEL)
    figures = {"seconds": round(watch.seconds, 1), "averaged": sorted(settings.members[i] for i in chosen)}
    return answer(trained, data, job.engine, figures)
