"""MASS (Song et al. 2019, arXiv 1905.02450, figure 5, tables 6 and 7): how much the decoder writes, and what it reads.

All sides pretrain the modern encoder and a decoder on people_daily, without the lines of the task; each then learns to
write a news line's beginning from its rest, and its encoder to tag the entities of other lines. The perplexity
in pretraining is that of half rows for all sides, which favours those that train on halves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from daguan.core.seeds import stream_seed
from daguan.core.settings import setting
from daguan.experiments.claims import beginnings, mass_variants
from daguan.experiments.claims.beginnings import Beginnings
from daguan.experiments.claims.claim import Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.learning import f1_on_test, pretrained, tagged
from daguan.experiments.claims.small_encoders import (
    HIDDEN,
    LAYERS,
    TUNING_RATE,
    small_encoder,
    small_pretraining,
    small_tuning,
)
from daguan.experiments.claims.text import ClaimText, TextClaimSettings, inputs_of, text_of
from daguan.models.encoders.loading import Encoder, MaskedLm
from daguan.models.encoders.mass import MassForConditionalGeneration
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.nn.tables import OPTIMISERS
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings

FEW, ALL = (10, 50, 90), (10, 20, 30, 40, 50, 60, 70, 80, 90)
NOTHING = "no-pretraining"
PAPER_K = "figure 5: lowest at about half"


class MassSettings(TextClaimSettings):
    """The settings of `reproduce mass`. The labelled lines are the task's, which does not read their labels."""

    train_lines: int = setting(4_000, "Lines to learn the task from, the first of the file; 0 for all.", ge=0)
    test_lines: int = setting(1_500, "Lines to test the task on, the first of the file; 0 for all.", ge=0)
    corpus_lines: int = setting(
        10_000, "Unlabelled lines of people_daily to pretrain on, the first of the file; 0 for all.", ge=0
    )
    layers: int = setting(LAYERS, "Layers of the encoder.", ge=1)
    decoder_layers: int = setting(1, "Layers of the decoder.", ge=1)
    hidden: int = setting(HIDDEN, "Width of both, a multiple of 64.", gt=0, multiple_of=64)
    length: int = setting(64, "Places of a row.", gt=0, multiple_of=16)
    tokens: int = setting(500_000, "Tokens to pretrain on, repeats counted.", ge=1)
    batch_size: int = setting(16, "Rows of an update of pretraining.", ge=1)
    epochs: int = setting(3, "Passes over the task's lines, and over the tagger's.", ge=1)
    tagged_lines: int = setting(300, "Lines with labels that a tagger learns, the first of the file.", ge=1)

    @property
    def encoder(self) -> EncoderSettings:
        return small_encoder(self.hidden, self.layers, self.length, decoder_layers=self.decoder_layers)

    @property
    def pretrain(self) -> PretrainSettings:
        return small_pretraining(self.tokens, self.batch_size)


def sides(chosen: MassSettings) -> Sequence[str]:
    """Returns a side for each length of the fragment in percent of a row, the paper's two ablations, and no
    pretraining; in the full grid also the paper's other pretrainings."""
    lengths = [f"k{percent}" for percent in (ALL if chosen.full else FEW)]
    return [*lengths, "discrete", "feed", NOTHING, *(("bert-lm", "dae") if chosen.full else ())]


def train(side: str, seed: int, chosen: MassSettings) -> Figures:
    """Returns perplexity and ROUGE-L of the task on test lines, a tagger's F1, and the held-out perplexity in
    pretraining."""
    text = text_of(chosen, corpus_alone=True)
    settings = chosen.pretrain
    figures: Figures = {}
    if side == NOTHING:
        torch.manual_seed(stream_seed(seed, "pretrain-weights"))
        lm: Any = MaskedLm("mass", chosen.encoder, len(text.vocabulary))
        model = lm.architecture.with_decoder(lm.model)
    else:
        if side.startswith("k"):
            settings = settings.replace(fragment=int(side.removeprefix("k")) / 100)
        made = mass_variants.OBJECTIVES.get(side)
        trainer, tokens, losses = pretrained(text, "mass", chosen.encoder, settings, chosen.engine, seed, made)
        lm = trainer.model
        model = lm.lm.model
        if side != "bert-lm":  # its loss is the encoder's
            figures = {"perplexity": math.exp(losses[-1]), "tokens": tokens, "perplexities": [*map(math.exp, losses)]}
    return figures | _as_tagger(model, text, chosen, seed) | _on_the_task(model, text, chosen, seed)


def _as_tagger(model: MassForConditionalGeneration, text: ClaimText, chosen: MassSettings, seed: int) -> Figures:
    """Returns the F1 of a tagger on a copy of the encoder."""
    few = replace(text, train=text.train[: chosen.tagged_lines])
    settings = ModelSettings(encoder="mass", head="crf")
    encoder = Encoder(deepcopy(model.base_model), settings.encoder_dropout)
    tagger = tagged(few, chosen.encoder, settings, small_tuning(chosen.epochs), chosen.engine, seed, encoder)
    return {"f1": f1_on_test(few, tagger, chosen.engine)}


def _on_the_task(model: MassForConditionalGeneration, text: ClaimText, chosen: MassSettings, seed: int) -> Figures:
    train, test = (Beginnings.of(text.unseen(lines), text.vocabulary) for lines in (text.train, text.test))
    torch.manual_seed(stream_seed(seed, "task"))
    beginnings.fine_tune(model, train, chosen.epochs, 32, TUNING_RATE, seed)
    found = beginnings.rouge_l(beginnings.written(model, test), test.targets)
    return {"task_perplexity": beginnings.perplexity(model, test), "rouge": found}


def plot(parts: Sequence[Part], chosen: MassSettings) -> Sequence[Panel]:
    lengths = [part for part in parts if part.side.startswith("k")]
    points = {f"seed {seed}": [(float(part.side[1:]), part.figures["task_perplexity"]) for part in lengths
                               if part.seed == seed] for seed in sorted({part.seed for part in lengths})}  # fmt: skip
    return [
        Panel("Length of the fragment", "percent of a row", "perplexity of beginnings", points),
        Panel(
            "Pretraining", "tokens", "held-out perplexity of half rows", mean_curves(parts, "tokens", "perplexities")
        ),
    ]


def _lower(other: str, paper: str) -> Comparison:
    return Comparison("task_perplexity", "k50", other, -1, paper)


CLAIM = Claim(
    paper="Song et al. 2019, arXiv 1905.02450, figure 5, tables 6 and 7",
    settings=MassSettings,
    sides=sides,
    train=train,
    comparisons=(
        _lower("k10", PAPER_K),
        _lower("k90", PAPER_K),
        _lower("discrete", "table 7, not available"),
        _lower("feed", "table 7, not available"),
        _lower("bert-lm", "Cornell dialogue perplexity 23.52 against 24.84"),
        _lower("dae", "table 6, not available"),
        _lower(NOTHING, "every table of the paper"),
    ),
    columns={
        "task_perplexity": Column("perplexity of beginnings"),
        "rouge": Column("ROUGE-L %", factor=100),
        "f1": Column("span F1 %", factor=100),
        "perplexity": Column("held-out perplexity of half rows"),
    },
    plot=plot,
    inputs=inputs_of,
    code=lambda chosen: [ENCODERS["mass"], OBJECTIVES["mass"], OPTIMISERS["muon"], HEADS["crf"]],
)
