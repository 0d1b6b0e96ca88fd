"""Prediction by a trained tagger: tag marginals of sentences of any length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.files import naming, read_json, write_json
from daguan.core.runs import WRITTEN_BY, require_current
from daguan.core.settings import build, to_dict
from daguan.core.types import Sentence, Span
from daguan.data.batches.collate import Batch, Example, collate, padded_length, sorted_batches, to_example
from daguan.data.batches.windows import Window, stitch, windows_of
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import Vocabulary
from daguan.models.encoders.loading import load_encoder
from daguan.models.encoders.pieces import Pieces
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.training import ranks
from daguan.training.devices import autocast, find_device, length_multiple, matrix_dtype
from daguan.training.engine_settings import EngineSettings
from daguan.training.threads import map_on_threads

FILE, ENCODER = "tagger.json", "encoder"
BATCH_TOKENS = 2048  # a larger batch does not fit into the caches
BATCH_SCORES = 1 << 23  # limits memory: span heads have T² scores a type, and marginals take 16 bytes for each


@dataclass(frozen=True)
class TrainedTagger:
    """A tagger with its vocabulary and tag scheme.

    Attributes:
        tagger: the network
        scheme: the tags that it predicts
        vocabulary: the tokens that it reads
        model: its settings
        window: number of tokens that it reads at once; longer lines are cut into windows
        overlap: number of tokens that neighbouring windows share
        pieces: what cuts tokens into pieces, in which window and overlap then count; None where it reads tokens
    """

    tagger: Tagger
    scheme: TagScheme
    vocabulary: Vocabulary
    model: ModelSettings
    window: int
    overlap: int
    pieces: Pieces | None = None

    def save(self, folder: Path) -> None:
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.tagger.save(folder)
            self.vocabulary.save(folder)
        if self.pieces:
            self.pieces.save(folder / ENCODER)
        about = {
            **WRITTEN_BY,
            "labels": self.scheme.labels,
            "model": to_dict(self.model),
            "window": self.window,
            "overlap": self.overlap,
        }
        write_json(folder / FILE, about)

    @classmethod
    def load(cls, folder: Path, engine: EngineSettings) -> TrainedTagger:
        """Returns the tagger that `save` wrote.

        Raises:
            CheckpointError: no tagger in the folder, or a damaged one.
        """
        scheme, model, window, overlap = _read_about(folder)
        tagger = Tagger(load_encoder(folder / ENCODER, model.encoder_dropout), scheme, model)
        tagger.load_head(folder)
        tagger = tagger.to_device(find_device(engine)).eval()
        pieces = Pieces.load(folder / ENCODER) if model.pieces else None
        return cls(tagger, scheme, Vocabulary.load(folder), model, window, overlap, pieces)

    def example(self, sentence: Sentence, scheme: TagScheme | None = None) -> Example:
        """Returns a sentence, or a part of one, as numbers, with its tags if there is a scheme."""
        return to_example(sentence, self.vocabulary, scheme, self.cut if self.pieces else None)

    def cut(self, tokens: Sequence[str]) -> list[list[int]]:
        """Returns the pieces of each token, at most as many as the window holds."""
        assert self.pieces is not None
        return [pieces[: self.window] for pieces in self.pieces.encode(tokens)]

    def cut_tokens(self, sentence: Sentence) -> int:
        """Returns how many tokens have more pieces than the window holds."""
        return sum(len(of) > self.window for of in self.pieces.encode(sentence.tokens)) if self.pieces else 0

    def costs(self, sentence: Sentence) -> list[int]:
        """Returns the length of each token, as windows count it."""
        return [len(pieces) for pieces in self.cut(sentence.tokens)] if self.pieces else [1] * len(sentence.tokens)

    def marginals(
        self, sentences: Sequence[Sentence], engine: EngineSettings, dtype: type[np.floating] = np.float32
    ) -> list[NDArray[Any]]:
        """Returns the tag marginals (T,K) of each sentence in the given type.

        Each batch is cast at once, as all marginals in float32 may not fit into memory. Predicting the lines in several
        calls would save that memory too, but changes the batches and thereby the last bits.
        """
        windows = [
            window
            for line, sentence in enumerate(sentences)
            for window in windows_of(line, self.costs(sentence), self.window, self.overlap)
        ]
        examples = [self.example(Sentence(sentences[w.line].tokens[w.start : w.stop])) for w in windows]
        answers: list[Any] = [None] * len(windows)
        tagger = self.tagger.for_prediction(matrix_dtype(engine))

        def answer(indices: NDArray[np.int64]) -> NDArray[Any]:
            batch = collate([examples[i] for i in indices], length_multiple(engine))
            return _batch_marginals(tagger, batch, engine).astype(dtype, copy=False)

        widths, multiple = [example.width for example in examples], length_multiple(engine)
        batches = sorted_batches(widths, BATCH_TOKENS, multiple, self._most_rows)
        longest = [max(len(examples[i]) for i in batch) for batch in batches]
        shapes = [
            (len(batch), padded_length(length, multiple), len(self.scheme))
            for batch, length in zip(batches, longest, strict=True)
        ]
        own = map_on_threads(answer, ranks.own(batches), find_device(engine))
        for indices, answered in zip(batches, ranks.exchanged(own, shapes), strict=True):
            for index, probs in zip(indices, answered, strict=True):
                answers[index] = probs[: len(examples[index])]
        return _stitch_lines(windows, answers)

    def _most_rows(self, length: int) -> int:
        return BATCH_SCORES // self.tagger.scores_per_row(length)


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
        require_current(path, about)
        model = build(ModelSettings, about["model"], place=str(path))
        return TagScheme(tuple(about["labels"])), model, int(about["window"]), int(about["overlap"])
    except (AttributeError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path}: expected a tagger's description, got: {error!r}") from None


def _stitch_lines(windows: Sequence[Window], answers: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    lines: dict[int, tuple[list[Window], list[NDArray[Any]]]] = {}
    for window, answer in zip(windows, answers, strict=True):
        line_windows, line_answers = lines.setdefault(window.line, ([], []))
        line_windows.append(window)
        line_answers.append(answer)
    return [stitch(*lines[line]) for line in sorted(lines)]


def annotate(sentences: Iterable[Sentence], spans: Iterable[tuple[Span, ...]]) -> list[Sentence]:
    """Returns the sentences with these spans in place of their own."""
    return [Sentence(sentence.tokens, found) for sentence, found in zip(sentences, spans, strict=True)]


def default_overlap(encoder: EncoderSettings) -> int:
    """Returns three eighths of the window: 47 of 126 tokens hold the contest's longest entity (35) with its context."""
    return encoder.window * 3 // 8
