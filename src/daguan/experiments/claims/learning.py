"""How claims about text pretrain an encoder, fine-tune a tagger on it, and measure both."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch

from daguan.core.seeds import stream_seed
from daguan.data.decoding import decode_lines
from daguan.data.span_score import span_score
from daguan.experiments.claims.text import ClaimText
from daguan.models.encoders.loading import Encoder, new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.objectives.base import Objective, Plan
from daguan.training.prediction import TrainedTagger, annotate, default_overlap
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

POINTS = 6  # of a pretraining's curve


def pretrained(
    text: ClaimText,
    architecture: str,
    size: EncoderSettings,
    settings: PretrainSettings,
    engine: EngineSettings,
    seed: int,
    new_objective: Callable[[Plan], Objective] | None = None,
) -> tuple[Pretrainer, list[int], list[float]]:
    """Returns a pretrained model, and its curve: numbers of tokens, and the held-out loss (nats) after them.

    The loss is the first that the objective measures. Trainers with equal seeds hold the same blocks out.
    """
    blocks, entries = text.blocks(size.max_length), len(text.vocabulary)
    trainer = Pretrainer(architecture, size, settings, engine, blocks, entries, seed, new_objective)
    wanted = {round(trainer.updates * point / POINTS) for point in range(1, POINTS + 1)}
    tokens, losses = [], []
    for update in trainer.steps():
        if update.done in wanted:
            tokens.append(update.tokens)
            losses.append(next(iter(trainer.evaluate().values())).loss)
    return trainer, tokens, losses


def encoder_of(trainer: Pretrainer, dropout: float) -> Encoder:
    """Returns a copy of the encoder of a masked language model, or of a model around one."""
    lm: Any = getattr(trainer.model, "lm", trainer.model)
    return Encoder(deepcopy(lm.model.base_model), dropout)


def tagged(
    text: ClaimText,
    size: EncoderSettings,
    model: ModelSettings,
    settings: TrainSettings,
    engine: EngineSettings,
    seed: int,
    encoder: Encoder | None = None,
    losses: list[float] | None = None,
) -> TrainedTagger:
    """Returns a tagger that was fine-tuned on the text's training lines.

    encoder: what it starts from, in place of random weights. losses: gets the moving average of the loss, in nats a
    token, after each update.
    """
    torch.manual_seed(stream_seed(seed, "tagger-weights"))
    start = encoder or new_encoder(model.encoder, size, len(text.vocabulary), model.encoder_dropout)
    tagger = Tagger(start, text.scheme, model)
    trained = TrainedTagger(tagger, text.scheme, text.vocabulary, model, size.window, default_overlap(size))
    for update in TaggerTrainer(trained, settings, engine, text.train, [], seed).steps():
        if losses is not None:
            losses.append(update.loss)
    return trained


def f1_on_test(text: ClaimText, trained: TrainedTagger, engine: EngineSettings) -> float:
    """Returns the span F1 on the text's test lines."""
    found = decode_lines(trained.marginals(text.test, engine), text.scheme)
    return span_score(annotate(text.test, found), text.test).f1
