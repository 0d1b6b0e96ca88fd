"""Labels new lines with what was trained: a blend, a member, a student or one model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from daguan.core.errors import CheckpointError, DataError
from daguan.core.runs import MANIFEST, Stopwatch
from daguan.core.types import Sentence
from daguan.data.format import STANDARD, format_labelled, read_unlabelled, write_lines
from daguan.ensemble.blending import MODELS, load_blend
from daguan.ensemble.combination import Combination
from daguan.ensemble.labelling import Members, load_members, member_marginals
from daguan.ensemble.weighting import plain_mean
from daguan.families.family import family_in
from daguan.families.fold import MODEL
from daguan.training.devices import prepare_process, share_cores
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import annotate

CONTEST = "contest"


def label_file(
    folder: Path, source: Path, target: Path, engine: EngineSettings, written: str = CONTEST
) -> dict[str, float]:
    """Label a file by the models of a folder, and return how many lines, by how many models and how fast.

    Standard input and output stand for the path `-`. `written` names the format of what is written, a key of WRITTEN.
    """
    if target != STANDARD and (target.is_dir() or not target.absolute().parent.is_dir()):
        raise DataError(f"{target}: expected the path of a file in an existing folder")
    prepare_process(share_cores(engine, 1)[1])
    paths, combination = find_models(folder)
    members = load_members(paths, engine)
    sentences = read_unlabelled(source)
    watch = Stopwatch()
    _write(target, map(WRITTEN[written], predict(members, combination, sentences)))
    tokens, seconds = sum(len(sentence.tokens) for sentence in sentences), watch.seconds
    return {
        "lines": len(sentences),
        "models": sum(map(len, members)),
        "lines_per_second": len(sentences) / seconds,
        "tokens_per_second": tokens / seconds,
    }


def find_models(folder: Path) -> tuple[list[list[Path]], Combination | None]:
    """Returns the models behind a folder, by member, and how a blend makes one answer of the members'.

    Raises:
        CheckpointError: there is none, a run that is not finished, or a blend of another version.
    """
    if (folder / MODEL).is_dir():
        folder /= MODEL
    if family_in(folder):
        return [[folder]], None
    if (folder / MODELS).is_file():
        return load_blend(folder)
    folds = sorted(folder.glob(f"fold*/{MODEL}"))
    if not folds or not (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder}: expected a blend, a finished run or a model, got none")
    return [folds], None


def _write(target: Path, lines: Iterator[str]) -> None:
    """Writes lines to a file whole, or to standard output one by one."""
    if target != STANDARD:
        write_lines(target, lines)
        return
    for line in lines:  # data are UTF-8 wherever they are written
        sys.stdout.buffer.write(f"{line}\n".encode())


def format_json(sentence: Sentence) -> str:
    """Returns a labelled line as JSON: its tokens, and its spans with their probabilities."""
    return json.dumps({"tokens": sentence.tokens, "spans": [*map(asdict, sentence.gold)]}, ensure_ascii=False)


WRITTEN = {CONTEST: format_labelled, "json": format_json}  # how a labelled line is written, by name


def predict(members: Members, combination: Combination | None, sentences: Sequence[Sentence]) -> Iterator[Sentence]:
    """Gives the labelled lines, by that combination or the plain mean. Raises CheckpointError: the models do not know
    the same labels."""
    combination = combination or plain_mean(members[0][0].labels, len(members))
    for chunk, answers in member_marginals(members, combination, sentences, "predict"):
        yield from annotate(chunk, combination.spans(chunk, answers))
