"""predict MODEL INPUT OUTPUT [engine.key=value …]: label a new file with what was trained; no training data needed.

MODEL is the blend folder that run_all.sh names (all its models, blended as they were), a member's folder, that of
`distil`, or one model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daguan.core import settings
from daguan.core.errors import CheckpointError, ConfigError, DataError
from daguan.core.progress import say
from daguan.core.runs import MANIFEST, Stopwatch
from daguan.core.types import Sentence
from daguan.data.format import format_labelled, read_unlabelled, write_lines
from daguan.ensemble.blending import MODELS, load_blend
from daguan.ensemble.combination import Combination
from daguan.ensemble.labelling import Members, answer, load_members
from daguan.ensemble.weighting import plain_mean
from daguan.families.jobs import MODEL
from daguan.families.ngram_crf import ABOUT
from daguan.training.devices import EngineSettings, prepare_process
from daguan.training.prediction import FILE, annotate


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
    members = load_members(paths, engine)
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
    for chunk, answers in answer(members, combination, sentences, engine, "predict"):
        yield from map(format_labelled, annotate(chunk, combination.spans(chunk, answers)))
