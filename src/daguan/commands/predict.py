"""predict MODEL INPUT OUTPUT [engine.key=value …]: label a new file with what was trained; no training data needed.

MODEL is the blend folder that run_all.sh names (the mean of all its models), a member's folder, or one model's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.commands.blend import MODELS
from daguan.core import settings
from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.files import read_json
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import Stopwatch
from daguan.core.types import Sentence
from daguan.models.ngram_crf import ABOUT, NgramCrf
from daguan.text.format import format_labelled, read_unlabelled, write_lines
from daguan.text.tags import TagScheme
from daguan.training.devices import EngineSettings, prepare_process
from daguan.training.jobs import MODEL
from daguan.training.prediction import FILE, TrainedTagger, annotate, decode_lines


@dataclass(frozen=True)
class PredictSettings:
    """engine: as in training."""

    engine: EngineSettings = field(default_factory=EngineSettings)


def main(words: list[str]) -> None:
    if len(words) < 3:
        raise ConfigError("predict: expected MODEL INPUT OUTPUT [engine.key=value …]")
    model, source, target = map(Path, words[:3])
    engine = settings.load(PredictSettings, None, words[3:]).engine
    models = find_models(model)
    prepare_process(engine.plan(1)[1])
    sentences = read_unlabelled(source)
    watch = Stopwatch()
    labelled = predict(models, sentences, engine)
    write_lines(target, map(format_labelled, labelled))
    tokens = sum(len(sentence.tokens) for sentence in sentences)
    say(
        f"predict: {target}: {len(sentences):,} lines by {len(models)} models, {len(sentences) / watch.seconds:,.0f} "
        f"lines/s, {tokens / watch.seconds:,.0f} tokens/s"
    )


def find_models(folder: Path) -> list[Path]:
    """The models behind a folder. Raises CheckpointError: none."""
    if (folder / FILE).is_file() or (folder / ABOUT).is_file():
        return [folder]
    if (folder / MODELS).is_file():
        return [(folder / name).resolve() for name in read_json(folder / MODELS)]
    folds = sorted(folder.glob(f"fold*/{MODEL}"))
    if not folds:
        raise CheckpointError(f"{folder}: expected a blend, a trained run or a model, got none")
    return folds


def predict(models: list[Path], sentences: list[Sentence], engine: EngineSettings) -> list[Sentence]:
    """The mean of the models' marginals, decoded. One model at a time is in memory."""
    total: list[NDArray[np.float32]] = []
    scheme: TagScheme | None = None
    for number, path in enumerate(models, start=1):
        bar = Bar(f"predict with {path.parent.parent.name or path.name} ({number} of {len(models)})")
        theirs, answers = _answers(path, sentences, engine, bar)
        bar.close()
        if scheme not in (None, theirs):
            raise CheckpointError(f"{path}: expected the labels {scheme}, got {theirs}")
        scheme = theirs
        total = [sum_ + own for sum_, own in zip(total, answers, strict=True)] if total else answers
    assert scheme is not None
    return annotate(sentences, decode_lines((probs / len(models) for probs in total), scheme))


def _answers(
    path: Path, sentences: list[Sentence], engine: EngineSettings, bar: Bar
) -> tuple[TagScheme, list[NDArray[np.float32]]]:
    size = sum(len(sentence.tokens) for sentence in sentences)
    done = 0

    def report(tokens: int) -> None:
        nonlocal done
        done += tokens
        bar.show(Progress(done, size, "tok"))

    if (path / ABOUT).is_file():
        crf = NgramCrf(path)
        return crf.scheme, list(_crf_answers(crf, sentences, report))
    tagger = TrainedTagger.load(path, engine)
    return tagger.scheme, tagger.marginals(sentences, engine, report)


def _crf_answers(crf: NgramCrf, sentences: list[Sentence], report: object) -> Iterator[NDArray[np.float32]]:
    assert callable(report)
    for sentence in sentences:
        yield crf.marginals(sentence)
        report(len(sentence.tokens))
