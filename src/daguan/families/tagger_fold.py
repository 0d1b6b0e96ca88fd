"""Trains one fold of a tagger, and loads what was trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from daguan.core.progress import Progress
from daguan.core.runs import Stopwatch
from daguan.core.seeds import stream_seed
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import Vocabulary
from daguan.families.family import Model
from daguan.families.fold import MODEL, FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.jobs import score_held_out
from daguan.models.encoders.loading import load_encoder, new_encoder
from daguan.models.encoders.pieces import Pieces
from daguan.models.tagger import Tagger
from daguan.training import ranks
from daguan.training.devices import device_facts
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import PseudoLines, TaggerTrainer
from daguan.training.loop import updates_a_second
from daguan.training.prediction import TrainedTagger, default_overlap


def train(job: FoldJob, data: FoldData, report: Report) -> FoldResult:
    """Fine-tunes the fold's tagger, saves it, and answers."""
    settings = job.settings.train
    seed = stream_seed(job.seed, "tagger", job.fold, *([settings.seed] if settings.seed else []))
    asked = job.settings.pseudo_labels
    pseudo = PseudoLines(data.pseudo, asked.weight, asked.length, max(1, asked.draws))

    def new_trainer(updates: int) -> TaggerTrainer:
        trained = _new_tagger(job, data.scheme)
        return TaggerTrainer(trained, settings, job.engine, data.train, data.held_out, seed, pseudo, updates)

    trainer = new_trainer(job.planned_updates)
    if job.seconds:
        trainer = new_trainer(job.fixed_updates(partial(updates_a_second, trainer), trainer.updates, Stopwatch()))
    trained = trainer.trained
    for update in trainer.fit(Path(job.folder)):
        note = "predicting" if update.tokens == update.total_tokens else ""
        rate, seconds = trainer.rate, trainer.watch.seconds
        report(Progress(update.tokens, update.total_tokens, "tok", update.loss, update.f1s, note, rate, seconds))
    if ranks.is_first():
        trained.save(Path(job.folder) / MODEL)
    figures = {
        "seconds": round(trainer.watch.seconds, 1),
        "tokens_per_second": round(trainer.tokens / trainer.watch.seconds),
        "updates": trainer.updates,
        "most_updates": settings.epochs * trainer.updates_per_epoch,
        "f1s": trainer.f1s,
        "lost_entities": trainer.lost_entities,
        "cut_tokens": trainer.cut_tokens,
        **device_facts(job.engine),
        "parameters": sum(parameter.numel() for parameter in trained.tagger.parameters()),
    }
    return answer(trained, data, job.engine, figures)


def answer(trained: TrainedTagger, data: FoldData, engine: EngineSettings, figures: dict[str, Any]) -> FoldResult:
    """Labels the held-out and the test lines."""
    held_out, score = score_held_out(data, trained.marginals(data.held_out, engine))
    watch = Stopwatch()
    test = trained.marginals(data.test, engine, np.float16)
    figures["test_tokens_per_second"] = round(sum(map(len, test)) / watch.seconds)
    return FoldResult(held_out, score, test, figures)


def load(folder: Path, engine: EngineSettings) -> Model:
    """Returns the trained tagger in a folder. Raises CheckpointError: damaged."""
    trained = TrainedTagger.load(folder, engine)
    return Model(trained.scheme.labels, lambda sentences: trained.marginals(sentences, engine, np.float16))


def _new_tagger(job: FoldJob, scheme: TagScheme) -> TrainedTagger:
    model, size = job.settings.model, job.settings.encoder
    torch.manual_seed(stream_seed(job.seed, "tagger-weights", job.fold))
    vocabulary = Vocabulary.load(Path(job.prepared))
    pieces = Pieces.load(Path(job.pretrained)) if model.pieces else None
    if job.pretrained:
        encoder = load_encoder(Path(job.pretrained), model.encoder_dropout)
    else:
        encoder = new_encoder(model.encoder, size, len(vocabulary), model.encoder_dropout)
    tagger = Tagger(encoder, scheme, model)
    if job.pretrained:
        tagger.load_pretrained(Path(job.pretrained))
    return TrainedTagger(tagger, scheme, vocabulary, model, size.window, default_overlap(size), pieces)
