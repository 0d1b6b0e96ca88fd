"""Labels lines with trained models: averages the models of each member, and combines the members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daguan.core.errors import CheckpointError
from daguan.core.progress import Bar, Progress
from daguan.core.types import Sentence
from daguan.data.decoding import decode_lines
from daguan.data.marginals import LineMarginals, mean
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import Combination, MemberMarginals
from daguan.ensemble.drawing import Draws, draw_spans
from daguan.families.family import Model, family_in
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import annotate

CHUNK_LINES = 2_000
Members = Sequence[Sequence[Model]]  # the models of each member


@dataclass(frozen=True, slots=True)
class LabelledLine:
    """A labelled line.

    Attributes:
        sentence: the line with its spans, the most probable ones or drawn ones.
        confidence: the probability of its least certain decision (`Combination.confident_spans`).
        agreement: the share of members whose own decoding gives the same spans.
    """

    sentence: Sentence
    confidence: float
    agreement: float


def load_members(paths: Sequence[Sequence[Path]], engine: EngineSettings) -> list[list[Model]]:
    """Loads the models of each member from their folders. Raises CheckpointError: missing or damaged."""
    return [[_load(path, engine) for path in of_member] for of_member in paths]


def _load(path: Path, engine: EngineSettings) -> Model:
    """Returns the model in a folder. Raises CheckpointError: there is none."""
    if (family := family_in(path)) is None:
        raise CheckpointError(f"{path}: expected a trained model, got none")
    return family.load(path, engine)


def label(
    members: Members,
    combination: Combination,
    sentences: Sequence[Sentence],
    name: str,
    draws: Draws | None = None,
) -> list[LabelledLine]:
    """Labels all lines as `combine_marginals`, with a progress bar `name`. Raises CheckpointError: models and
    combination differ in labels."""
    chunks = member_marginals(members, combination, sentences, name)
    return [line for chunk, marginals in chunks for line in combine_marginals(chunk, marginals, combination, draws)]


def combine_marginals(
    sentences: Sequence[Sentence],
    marginals: MemberMarginals,
    combination: Combination,
    draws: Draws | None = None,
) -> list[LabelledLine]:
    """Returns the lines as labelled by the combination of the members' marginals. With `draws`, labels are drawn from
    its probabilities: each line stands as often in a row as they are drawn."""
    spans, confidences = combination.confident_spans(sentences, marginals)
    scheme, agreeing = TagScheme(combination.labels), np.zeros(len(sentences))
    for member in marginals:
        agreeing += [own == found for own, found in zip(decode_lines(member, scheme), spans, strict=True)]
    about = [*zip(sentences, confidences.tolist(), (agreeing / len(marginals)).tolist(), strict=True)]
    if draws is not None:
        candidates = combination.candidates(sentences, marginals)
        spans = [draw_spans(found, draws.rng) for found in candidates for _ in range(draws.count)]
        about = [one for one in about for _ in range(draws.count)]
    lines, sure, agreed = zip(*about, strict=True) if about else ((), (), ())
    return [*map(LabelledLine, annotate(lines, spans), sure, agreed)]


def member_marginals(
    members: Members, combination: Combination, sentences: Sequence[Sentence], name: str
) -> Iterator[tuple[Sequence[Sentence], list[list[LineMarginals]]]]:
    """Yields chunks of lines with each member's marginals, in half precision; only one chunk is in memory.

    Raises:
        CheckpointError: models and combination differ in labels.
    """
    models = [model for member in members for model in member]
    if any(model.labels != combination.labels for model in models):
        raise CheckpointError(f"{name}: expected models for the same labels, got different ones")
    size = len(models) * sum(len(sentence.tokens) for sentence in sentences)
    with Bar(name) as bar:
        done = 0

        def show(tokens: int) -> None:
            nonlocal done
            done += tokens
            bar.show(Progress(done, size, "tok"))

        for low in range(0, len(sentences), CHUNK_LINES):
            chunk = sentences[low : low + CHUNK_LINES]
            yield chunk, marginals_of(members, chunk, show)


def marginals_of(
    members: Members, sentences: Sequence[Sentence], show: Callable[[int], None] = lambda tokens: None
) -> list[list[LineMarginals]]:
    """Returns each member's marginals in half precision, the mean of its models; `show` is called with the number of
    tokens that a model has read."""
    marginals = []
    for member in members:
        by_model = []
        for model in member:
            by_model.append(model.marginals(sentences))
            show(sum(map(len, by_model[-1])))
        marginals.append(mean(by_model))
    return marginals
