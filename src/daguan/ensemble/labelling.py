"""Lines labelled by trained models: each member's answer is the mean of its models', and the members' are blended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daguan.core.errors import CheckpointError
from daguan.core.progress import Bar, Progress
from daguan.core.types import Sentence
from daguan.data.marginals import LineMarginals, mean, to_half_precision
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import Answers, Combination
from daguan.families.ngram_crf import ABOUT, NgramCrf
from daguan.training.devices import EngineSettings
from daguan.training.prediction import TrainedTagger, annotate, decode_lines

CHUNK_LINES = 2_000
Model = TrainedTagger | NgramCrf
Members = Sequence[Sequence[Model]]  # of each member its models


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line as it was labelled. confidence: the probability of its least certain decision (`Combination.judge`);
    agreement: the share of the members whose own decode is this answer."""

    sentence: Sentence
    confidence: float
    agreement: float


def load_members(paths: Sequence[Sequence[Path]], engine: EngineSettings) -> list[list[Model]]:
    """The models of each member, by their folders. Raises CheckpointError: none there, or damaged."""
    return [[_load(path, engine) for path in of_member] for of_member in paths]


def _load(path: Path, engine: EngineSettings) -> Model:
    return NgramCrf(path) if (path / ABOUT).is_file() else TrainedTagger.load(path, engine)


def label(
    members: Members, combination: Combination, sentences: Sequence[Sentence], engine: EngineSettings, name: str
) -> list[Verdict]:
    """Label all lines, with a progress bar of that name. Raises CheckpointError: models and combination do not know the
    same labels."""
    chunks = answer(members, combination, sentences, engine, name)
    return [verdict for chunk, answers in chunks for verdict in verdicts(chunk, answers, combination)]


def verdicts(sentences: Sequence[Sentence], answers: Answers, combination: Combination) -> list[Verdict]:
    """What the combination makes of the members' answers to each line."""
    spans, confidences = combination.judge(sentences, answers)
    scheme, agreeing = TagScheme(combination.labels), np.zeros(len(sentences))
    for member in answers:
        agreeing += [own == found for own, found in zip(decode_lines(member, scheme), spans, strict=True)]
    agreements = (agreeing / len(answers)).tolist()
    return [*map(Verdict, annotate(sentences, spans), confidences.tolist(), agreements)]


def answer(
    members: Members, combination: Combination, sentences: Sequence[Sentence], engine: EngineSettings, name: str
) -> Iterator[tuple[Sequence[Sentence], list[list[LineMarginals]]]]:
    """Some lines after others, and the members' answers to them, in half precision as what is stored. A chunk of lines
    at a time is in memory.

    Raises:
        CheckpointError: the models and what blends them do not know the same labels.
    """
    models = [model for member in members for model in member]
    if any(model.scheme.labels != combination.labels for model in models):
        raise CheckpointError(f"{name}: expected models for the same labels, got different ones")
    size = len(models) * sum(len(sentence.tokens) for sentence in sentences)
    bar = Bar(name)
    done = 0
    for low in range(0, len(sentences), CHUNK_LINES):
        chunk = sentences[low : low + CHUNK_LINES]
        answers = []
        for member in members:
            by_model = []
            for model in member:
                by_model.append(_marginals(model, chunk, engine))
                done += sum(map(len, by_model[-1]))
                bar.show(Progress(done, size, "tok"))
            answers.append(mean(by_model))
        yield chunk, answers
    bar.close()


def _marginals(model: Model, sentences: Sequence[Sentence], engine: EngineSettings) -> list[LineMarginals]:
    if isinstance(model, NgramCrf):
        return to_half_precision(model.marginals(sentence) for sentence in sentences)
    return model.marginals(sentences, engine, np.float16)
