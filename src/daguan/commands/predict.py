"""predict MODEL INPUT OUTPUT [engine.key=value …]: label a new file with what was trained; no training data needed.

MODEL is the blend folder that run_all.sh names (all its models, blended as they were), a member's folder, or one
model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from daguan.answers.blending import MODELS, load_blend
from daguan.answers.evidence import Combination
from daguan.answers.weighting import plain_mean
from daguan.core import settings
from daguan.core.errors import CheckpointError, ConfigError, DataError
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import MANIFEST, Stopwatch
from daguan.core.types import Sentence
from daguan.models.ngram_crf import ABOUT, NgramCrf
from daguan.text.format import format_labelled, read_unlabelled, write_lines
from daguan.text.marginals import Probs, mean
from daguan.training.devices import EngineSettings, prepare_process
from daguan.training.jobs import MODEL
from daguan.training.prediction import FILE, TrainedTagger, annotate

CHUNK_LINES = 2_000
Model = TrainedTagger | NgramCrf


@dataclass(frozen=True)
class PredictSettings:
    """engine: as in training."""

    engine: EngineSettings = field(default_factory=EngineSettings)


def main(words: list[str]) -> None:
    if len(words) < 3:
        raise ConfigError("predict: expected MODEL INPUT OUTPUT [engine.key=value …]")
    folder, source, target = map(Path, words[:3])
    engine = settings.load(PredictSettings, None, words[3:]).engine
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise DataError(f"{target}: expected the path of a file in an existing folder")
    prepare_process(engine.plan(1)[1])
    paths, combination = find_models(folder)
    members = [[load_model(path, engine) for path in of_member] for of_member in paths]
    sentences = read_unlabelled(source)
    watch = Stopwatch()
    write_lines(target, predict(members, combination, sentences, engine))
    tokens = sum(len(sentence.tokens) for sentence in sentences)
    say(
        f"predict: {target}: {len(sentences):,} lines by {sum(map(len, members))} models, "
        f"{len(sentences) / watch.seconds:,.0f} lines/s, {tokens / watch.seconds:,.0f} tokens/s"
    )


def find_models(folder: Path) -> tuple[list[list[Path]], Combination | None]:
    """The models behind a folder, by member, and how a blend makes one answer of the members'.

    Raises:
        CheckpointError: none, or a run that is not finished.
    """
    if (folder / FILE).is_file() or (folder / ABOUT).is_file():
        return [[folder]], None
    if (folder / MODELS).is_file():
        return load_blend(folder)
    folds = sorted(folder.glob(f"fold*/{MODEL}"))
    if not folds or not (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder}: expected a blend, a finished run or a model, got none")
    return [folds], None


def load_model(path: Path, engine: EngineSettings) -> Model:
    return NgramCrf(path) if (path / ABOUT).is_file() else TrainedTagger.load(path, engine)


def predict(
    members: Sequence[Sequence[Model]], combination: Combination | None, sentences: Sequence[Sentence],
    engine: EngineSettings,
) -> Iterator[str]:  # fmt: skip
    """The labelled lines: as in a blend, each member's answer is the mean of its models', in half precision. A chunk of
    lines at a time is in memory.

    Raises:
        CheckpointError: the models do not know the same labels.
    """
    models = [model for member in members for model in member]
    labels = models[0].scheme.labels
    combination = combination or plain_mean(labels, len(members))
    if combination.labels != labels or any(model.scheme.labels != labels for model in models):
        raise CheckpointError("predict: expected models for the same labels, got different ones")
    size = len(models) * sum(len(sentence.tokens) for sentence in sentences)
    bar = Bar("predict")
    done = 0
    for low in range(0, len(sentences), CHUNK_LINES):
        chunk = sentences[low : low + CHUNK_LINES]
        answers = []
        for member in members:
            by_model = []
            for model in member:
                by_model.append(_answers(model, chunk, engine))
                done += sum(map(len, by_model[-1]))
                bar.show(Progress(done, size, "tok"))
            answers.append(mean(by_model))
        yield from map(format_labelled, annotate(chunk, combination.spans(chunk, answers)))
    bar.close()


def _answers(model: Model, sentences: Sequence[Sentence], engine: EngineSettings) -> list[Probs]:
    if isinstance(model, NgramCrf):
        answers = [model.marginals(sentence) for sentence in sentences]
    else:
        answers = model.marginals(sentences, engine)
    return [answer.astype(np.float16) for answer in answers]
