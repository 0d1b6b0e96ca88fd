"""RoBERTa (Liu et al. 2019, arXiv 1907.11692, tables 1–4): masks, input formats, batches, steps and text.

All sides pretrain a small modern encoder, as a BERT of this size learns nothing in so few updates, on the articles of
people_daily; each then becomes a tagger. `static` gives each block one mask for the whole run, which sees the text some
twenty times; the paper's static masks are each seen four times. The batch grows at equal data with the learning rate's
square root, from 8 blocks in place of 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from daguan.core.settings import setting
from daguan.data.people_daily import read_articles
from daguan.data.vocabulary import SEP, Vocabulary
from daguan.experiments.claims.claim import Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.format_objective import FormatObjective
from daguan.experiments.claims.input_formats import FORMATS, Document
from daguan.experiments.claims.learning import encoder_of, f1_on_test, pretrained, tagged
from daguan.experiments.claims.small_encoders import (
    HIDDEN,
    LAYERS,
    LENGTH,
    small_encoder,
    small_pretraining,
    small_tuning,
)
from daguan.experiments.claims.text import TextClaimSettings, inputs_of, text_of
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.nn.tables import OPTIMISERS
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings

BATCHES = {"batch-4x": 4, "batch-16x": 16}  # multiples of `batch_size`, at equal data
MASKS = {"dynamic": 0, "static": 1}
STEPS, MORE_TEXT = "steps-4x", "text-8x"
LARGER = 4, 8  # of steps and of text


class RobertaSettings(TextClaimSettings):
    """The settings of `reproduce roberta`."""

    layers: int = setting(LAYERS, "Layers of the encoder.", ge=1)
    hidden: int = setting(HIDDEN, "Width of the encoder, a multiple of 64.", gt=0, multiple_of=64)
    length: int = setting(LENGTH, "Places of a row.", gt=0, multiple_of=16)
    tokens: int = setting(1_000_000, "Tokens to pretrain on, repeats counted.", ge=1)
    batch_size: int = setting(8, "Rows of an update.", ge=1)
    epochs: int = setting(3, "Passes over the labelled lines.", ge=1)

    @property
    def encoder(self) -> EncoderSettings:
        return small_encoder(self.hidden, self.layers, self.length)

    @property
    def pretrain(self) -> PretrainSettings:
        return small_pretraining(self.tokens, self.batch_size)


def sides(chosen: RobertaSettings) -> Sequence[str]:
    """Returns masks and formats, and in the full grid batches, steps and text.

    A folder does not say which lines are of one document, and its text is used as a whole.
    """
    sides = [*MASKS, *(() if chosen.data else FORMATS)]
    if chosen.full:
        sides += [*BATCHES, STEPS, *(() if chosen.data else (MORE_TEXT,))]
    return sides


def train(side: str, seed: int, chosen: RobertaSettings) -> Figures:
    """Returns the held-out perplexity, its curve, and the tagger's F1."""
    corpus = chosen.replace(corpus_lines=LARGER[1] * chosen.corpus_lines) if side == MORE_TEXT else chosen
    text, settings = text_of(corpus), _settings(side, chosen)
    made = None
    if side in FORMATS:
        documents = documents_of(chosen.corpus_lines, text.vocabulary)
        made = partial(FormatObjective, documents=documents, name=side)
    trainer, tokens, losses = pretrained(text, "modern", chosen.encoder, settings, chosen.engine, seed, made)
    model = ModelSettings(encoder="modern", head="crf", ngram_buckets=0)
    encoder = encoder_of(trainer, model.encoder_dropout)
    tagger = tagged(text, chosen.encoder, model, small_tuning(chosen.epochs), chosen.engine, seed, encoder)
    f1 = f1_on_test(text, tagger, chosen.engine)
    perplexities = [math.exp(loss) for loss in losses]
    return {"perplexity": perplexities[-1], "f1": f1, "tokens": tokens, "perplexities": perplexities}


def _settings(side: str, chosen: RobertaSettings) -> PretrainSettings:
    settings = chosen.pretrain
    if side in MASKS:
        return settings.replace(masking=settings.masking.replace(static_masks=MASKS[side]))
    if side in BATCHES:
        times = BATCHES[side]
        rates: dict[str, Any] = {
            name: math.sqrt(times) * getattr(settings, name) for name in ("learning_rate", "muon_learning_rate")
        }
        return settings.replace(accumulation=times, **rates)
    return settings.replace(tokens=LARGER[0] * settings.tokens) if side == STEPS else settings


def documents_of(lines: int, vocabulary: Vocabulary) -> list[Document]:
    """Returns the articles of the first lines of people_daily as sentences of ids, each ended by [SEP]."""
    return [
        [np.array([*vocabulary.encode(sentence.tokens), SEP]) for sentence in article]
        for article in read_articles(lines)
    ]


def plot(parts: Sequence[Part], chosen: RobertaSettings) -> Sequence[Panel]:
    curves = mean_curves(parts, "tokens", "perplexities")
    masks = {side: points for side, points in curves.items() if side not in FORMATS}
    formats = {side: points for side, points in curves.items() if side in FORMATS}
    panels = [Panel("Masks, batches and text", "tokens", "held-out perplexity", masks)]
    return [*panels, *([Panel("Input formats", "tokens", "held-out perplexity", formats)] if formats else [])]


CLAIM = Claim(
    paper="Liu et al. 2019, arXiv 1907.11692, tables 1–4",
    settings=RobertaSettings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("perplexity", "dynamic", "static", -1, "table 1 has no perplexity"),
        Comparison("f1", "dynamic", "static", 1, "SQuAD 2.0 F1 78.7 against 78.3 (table 1)"),
        Comparison("f1", "segment-pair", "sentence-pair", 1, "SQuAD 2.0 F1 78.7 against 76.2 (table 2)"),
        Comparison("f1", "full-sentences", "segment-pair", 1, "SQuAD 2.0 F1 79.1 against 78.7 (table 2)"),
        Comparison("f1", "doc-sentences", "full-sentences", 1, "SQuAD 2.0 F1 79.7 against 79.1 (table 2)"),
        Comparison("perplexity", "batch-4x", "dynamic", -1, "3.68 at 2K against 3.99 at 256 (table 3)"),
        Comparison("perplexity", "batch-16x", "batch-4x", 1, "3.77 at 8K against 3.68 at 2K (table 3)"),
        Comparison("f1", "steps-4x", "dynamic", 1, "SQuAD 2.0 F1 89.4 at 500K against 87.7 at 100K (table 4)"),
        Comparison("f1", "text-8x", "dynamic", 1, "SQuAD 2.0 F1 87.7 against 87.3 (table 4)"),
    ),
    columns={"perplexity": Column("held-out perplexity"), "f1": Column("span F1 %", factor=100)},
    plot=plot,
    inputs=inputs_of,
    code=lambda chosen: [ENCODERS["modern"], OBJECTIVES["mlm"], OPTIMISERS["muon"], HEADS["crf"]],
)  # fmt: skip
