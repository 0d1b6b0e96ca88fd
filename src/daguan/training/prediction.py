"""A trained tagger at work: sentences of any length in, tag marginals out, batched by length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.files import naming, read_json, write_json
from daguan.core.settings import build, to_dict
from daguan.core.types import Sentence, Span
from daguan.data.batches.collate import Batch, Example, collate, length_mask, sorted_batches
from daguan.data.batches.windows import Window, stitch, windows_of
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import Vocabulary
from daguan.models.encoders.loading import load_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.nn.crf import constrained_decode
from daguan.training.devices import autocast, find_device, length_multiple, matrix_dtype
from daguan.training.engine_settings import EngineSettings
from daguan.training.threads import map_on_threads

FILE = "tagger.json"
BATCH_TOKENS = 2048  # more leave the caches
BATCH_SCORES = 1 << 23  # in a batch: span heads have T² times the types, and marginals take 16 bytes of each
DECODE_TOKENS = 1 << 15
SMALLEST = 1e-6  # marginals below are one: half precision ends there


@dataclass(frozen=True)
class TrainedTagger:
    """A tagger with the tables it reads and writes by. overlap: tokens neighbouring windows share."""

    tagger: Tagger
    scheme: TagScheme
    vocabulary: Vocabulary
    model: ModelSettings
    window: int
    overlap: int

    def save(self, folder: Path) -> None:
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.tagger.save(folder)
            self.vocabulary.save(folder)
        about = {
            "labels": self.scheme.labels,
            "model": to_dict(self.model),
            "window": self.window,
            "overlap": self.overlap,
        }
        write_json(folder / FILE, about)

    @classmethod
    def load(cls, folder: Path, engine: EngineSettings) -> TrainedTagger:
        """Raises CheckpointError: no tagger there, or damaged."""
        scheme, model, window, overlap = _read_about(folder)
        tagger = Tagger(load_encoder(folder / "encoder", model.encoder_dropout), scheme, model)
        tagger.load_head(folder)
        tagger = tagger.to_device(find_device(engine)).eval()
        return cls(tagger, scheme, Vocabulary.load(folder), model, window, overlap)

    def marginals(
        self, sentences: Sequence[Sentence], engine: EngineSettings, kept: type[np.floating] = np.float32
    ) -> list[NDArray[Any]]:
        """One (T,K) array a sentence, of the type `kept`: each batch is cast once it is answered, as all in float32 may
        not fit into memory, and answering some lines after others would make other batches, and other last bits."""
        windows = [
            window
            for line, sentence in enumerate(sentences)
            for window in windows_of(line, len(sentence.tokens), self.window, self.overlap)
        ]
        examples = [self._example(sentences[window.line], window) for window in windows]
        answers: list[Any] = [None] * len(windows)
        tagger = self.tagger.for_prediction(matrix_dtype(engine))

        def answer(indices: NDArray[np.int64]) -> NDArray[Any]:
            batch = collate([examples[i] for i in indices], length_multiple(engine))
            return _batch_marginals(tagger, batch, engine).astype(kept, copy=False)

        lengths = [len(example) for example in examples]
        batches = sorted_batches(lengths, BATCH_TOKENS, length_multiple(engine), self._most_rows)
        for indices, of_batch in zip(batches, map_on_threads(answer, batches, find_device(engine)), strict=True):
            for index, probs in zip(indices, of_batch, strict=True):
                answers[index] = probs[: len(examples[index])]
        return _stitch_lines(windows, answers)

    def _most_rows(self, length: int) -> int:
        return BATCH_SCORES // self.tagger.scores_per_row(length)

    def _example(self, sentence: Sentence, window: Window) -> Example:
        return Example(self.vocabulary.encode(sentence.tokens[window.start : window.stop]))


def _batch_marginals(tagger: Tagger, batch: Batch, engine: EngineSettings) -> NDArray[np.float32]:
    with autocast(engine):
        marginals = tagger.marginals(batch.to(find_device(engine)))
    probs: NDArray[np.float32] = marginals.float().cpu().numpy()
    return probs


def _read_about(folder: Path) -> tuple[TagScheme, ModelSettings, int, int]:
    path = folder / FILE
    if not path.is_file():
        raise CheckpointError(f"{folder}: expected a trained tagger with {FILE}, got none")
    try:
        about = read_json(path)
        model = build(ModelSettings, about["model"], place=str(path))
        return TagScheme(tuple(about["labels"])), model, int(about["window"]), int(about["overlap"])
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path}: expected a tagger's description, got: {error!r}") from None


def _stitch_lines(windows: Sequence[Window], answers: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    lines: dict[int, tuple[list[Window], list[NDArray[Any]]]] = {}
    for window, answer in zip(windows, answers, strict=True):
        of_line = lines.setdefault(window.line, ([], []))
        of_line[0].append(window)
        of_line[1].append(answer)
    return [stitch(*lines[line]) for line in sorted(lines)]


def decode_lines(
    answers: Iterable[NDArray[np.floating]], scheme: TagScheme, bias: NDArray[np.float32] | None = None
) -> list[tuple[Span, ...]]:
    """The legal tag sequence with the highest product of marginals for each (T,K) array, as spans; `bias` (K,) is added
    to their logarithms."""
    return [scheme.decode(tags) for tags in decode_tags(list(answers), scheme, bias)]


def decode_tags(
    answers: Sequence[NDArray[np.floating]], scheme: TagScheme, bias: NDArray[np.float32] | None = None
) -> list[NDArray[np.int64]]:
    """As `decode_lines`, as (T,) tags."""
    tags: list[Any] = [None] * len(answers)
    for indices in sorted_batches([len(answer) for answer in answers], DECODE_TOKENS, 1):
        lengths = torch.tensor([len(answers[i]) for i in indices])
        mask = length_mask(lengths, int(lengths.max()))
        scores = torch.zeros(*mask.shape, len(scheme))
        scores[mask] = torch.from_numpy(log_probs(np.concatenate([answers[i] for i in indices]), bias))
        decoded = constrained_decode(scores, scheme, mask).numpy()
        for row, i in enumerate(indices):
            tags[i] = decoded[row, : len(answers[i])]
    return tags


def log_probs(probs: NDArray[np.floating], bias: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """What the decode adds up: log marginals (…,K), none below that of the smallest, and a bias (K,)."""
    logs: NDArray[np.float32] = np.log(np.maximum(probs.astype(np.float32), SMALLEST))
    return logs if bias is None else logs + bias


def annotate(sentences: Iterable[Sentence], spans: Iterable[tuple[Span, ...]]) -> list[Sentence]:
    return [Sentence(sentence.tokens, found) for sentence, found in zip(sentences, spans, strict=True)]


def default_overlap(encoder: EncoderSettings) -> int:
    """Three eighths of the window: the longest entity of the contest (35 tokens) fits into 47 of 126 with context."""
    return encoder.window * 3 // 8
