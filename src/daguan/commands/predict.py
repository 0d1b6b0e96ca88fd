"""predict MODEL INPUT OUTPUT [engine.key=value …]: label a new file with what was trained; no training data needed.

MODEL is the blend folder that run_all.sh names (the mean of all its models), a member's folder, or one model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.commands.blend import MODELS
from daguan.core import settings
from daguan.core.errors import CheckpointError, ConfigError, DataError
from daguan.core.files import read_json
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import MANIFEST, Stopwatch
from daguan.core.types import Sentence
from daguan.models.ngram_crf import ABOUT, NgramCrf
from daguan.text.format import format_labelled, read_unlabelled, write_lines
from daguan.training.devices import EngineSettings, prepare_process
from daguan.training.jobs import MODEL
from daguan.training.prediction import FILE, TrainedTagger, annotate, decode_lines

CHUNK_LINES = 2_000


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
    models = [load_model(path, engine) for path in find_models(folder)]
    sentences = read_unlabelled(source)
    watch = Stopwatch()
    write_lines(target, predict(models, sentences, engine))
    tokens = sum(len(sentence.tokens) for sentence in sentences)
    say(
        f"predict: {target}: {len(sentences):,} lines by {len(models)} models, {len(sentences) / watch.seconds:,.0f} "
        f"lines/s, {tokens / watch.seconds:,.0f} tokens/s"
    )


def find_models(folder: Path) -> list[Path]:
    """The models behind a folder. Raises CheckpointError: none, or a run that is not finished."""
    if (folder / FILE).is_file() or (folder / ABOUT).is_file():
        return [folder]
    if (folder / MODELS).is_file():
        return [(folder / name).resolve() for name in read_json(folder / MODELS)]
    folds = sorted(folder.glob(f"fold*/{MODEL}"))
    if not folds or not (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder}: expected a blend, a finished run or a model, got none")
    return folds


def load_model(path: Path, engine: EngineSettings) -> TrainedTagger | NgramCrf:
    return NgramCrf(path) if (path / ABOUT).is_file() else TrainedTagger.load(path, engine)


def predict(
    models: Sequence[TrainedTagger | NgramCrf], sentences: Sequence[Sentence], engine: EngineSettings
) -> Iterator[str]:
    """The labelled lines, by the mean of the models' marginals; a chunk of lines at a time is in memory.

    Raises:
        CheckpointError: the models do not know the same labels.
    """
    scheme = models[0].scheme
    if any(model.scheme != scheme for model in models):
        raise CheckpointError("predict: expected models for the same labels, got different ones")
    size = len(models) * sum(len(sentence.tokens) for sentence in sentences)
    bar = Bar("predict")
    done = 0
    for low in range(0, len(sentences), CHUNK_LINES):
        chunk = sentences[low : low + CHUNK_LINES]
        total = [np.zeros((len(sentence.tokens), len(scheme)), dtype=np.float32) for sentence in chunk]
        for model in models:
            for sum_, answer in zip(total, _answers(model, chunk, engine), strict=True):
                sum_ += answer
            done += sum(map(len, total))
            bar.show(Progress(done, size, "tok"))
        yield from map(format_labelled, annotate(chunk, decode_lines([probs / len(models) for probs in total], scheme)))
    bar.close()


def _answers(
    model: TrainedTagger | NgramCrf, sentences: Sequence[Sentence], engine: EngineSettings
) -> list[NDArray[np.float32]]:
    if isinstance(model, NgramCrf):
        return [model.marginals(sentence) for sentence in sentences]
    return model.marginals(sentences, engine)
