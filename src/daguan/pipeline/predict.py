"""Labels new lines with what was trained: a blend, a member, a student or one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from daguan.core.errors import CheckpointError
from daguan.core.runs import MANIFEST
from daguan.core.types import Sentence
from daguan.data.format import format_labelled
from daguan.ensemble.blending import MODELS, load_blend
from daguan.ensemble.combination import Combination
from daguan.ensemble.labelling import Members, member_marginals
from daguan.ensemble.weighting import plain_mean
from daguan.families.jobs import MODEL
from daguan.families.ngram_crf import ABOUT
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import FILE, annotate


def find_models(folder: Path) -> tuple[list[list[Path]], Combination | None]:
    """The models behind a folder, by member, and how a blend makes one answer of the members'.

    Raises:
        CheckpointError: none, or a run that is not finished.
    """
    if (folder / MODEL).is_dir():
        folder /= MODEL
    if (folder / FILE).is_file() or (folder / ABOUT).is_file():
        return [[folder]], None
    if (folder / MODELS).is_file():
        return load_blend(folder)
    folds = sorted(folder.glob(f"fold*/{MODEL}"))
    if not folds or not (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder}: expected a blend, a finished run or a model, got none")
    return [folds], None


def predict(
    members: Members, combination: Combination | None, sentences: Sequence[Sentence],
    engine: EngineSettings,
) -> Iterator[str]:  # fmt: skip
    """The labelled lines, by that combination or the plain mean. Raises CheckpointError: the models do not know the
    same labels."""
    combination = combination or plain_mean(members[0][0].scheme.labels, len(members))
    for chunk, answers in member_marginals(members, combination, sentences, engine, "predict"):
        yield from map(format_labelled, annotate(chunk, combination.spans(chunk, answers)))
