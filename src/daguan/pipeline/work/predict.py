"""Labels new lines with what was trained: a blend, a member, a student or one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from daguan.core.errors import CheckpointError
from daguan.core.runs import MANIFEST
from daguan.core.types import Sentence
from daguan.ensemble.blending import FILE, MODELS, load_blend
from daguan.ensemble.combination import Combination
from daguan.ensemble.distillation import OTHER_TOKENS
from daguan.ensemble.labelling import Members, member_marginals
from daguan.ensemble.weighting import plain_mean
from daguan.families.family import family_in
from daguan.families.fold import MODEL
from daguan.training.prediction import annotate


def find_models(folder: Path) -> tuple[list[list[Path]], Combination | None]:
    """Returns the models behind a folder, by member, and how a blend makes one answer of the members'.

    Raises:
        CheckpointError: there is none, a run that is not finished, or a blend of another version.
    """
    if (folder / MODELS).is_file():
        return load_blend(folder)
    if (folder / MODEL).is_dir():
        folder /= MODEL
    if family_in(folder):
        return [[folder]], None
    folds = sorted(folder.glob(f"fold*/{MODEL}"))
    if not folds or not (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder}: expected a blend, a finished run or a model, got none")
    return [folds], None


def files_of(folder: Path) -> list[Path]:
    """Returns the folders and files that what is in a folder labels lines with. Raises CheckpointError: as
    `find_models`."""
    paths, combination = find_models(folder)
    models = [path for of_member in paths for path in of_member]
    return [*models, *(folder / name for name in (FILE, MODELS, OTHER_TOKENS) if combination)]


def predict(members: Members, combination: Combination | None, sentences: Sequence[Sentence]) -> Iterator[Sentence]:
    """Gives the labelled lines, by that combination or the plain mean. Raises CheckpointError: the models do not know
    the same labels."""
    combination = combination or plain_mean(members[0][0].labels, len(members))
    for chunk, answers in member_marginals(members, combination, sentences, "predict"):
        yield from annotate(chunk, combination.spans(chunk, answers))
