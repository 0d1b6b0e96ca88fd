"""The three models of rank 9 on each fold, trained as the preset `rank9` says, with or without a fault in training.

Each encoder and each model is a run of its own in the claim's folder, which the claim's sides share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daguan.core.runs import Run, Stopwatch, run_of
from daguan.core.seeds import stream_seed
from daguan.core.settings import setting, to_dict
from daguan.core.tables import Row
from daguan.data.folds import FoldSettings, assign_folds
from daguan.data.marginals import LineMarginals, Marginals
from daguan.experiments.claims.claim import COMMON
from daguan.experiments.claims.learning import pretrained
from daguan.experiments.claims.rank9_faults import SELECTED_BY, OverwrittenLabels, cut, train_and_select
from daguan.experiments.claims.small_encoders import RATES
from daguan.experiments.claims.text import ClaimText, TextClaimSettings, inputs_of
from daguan.families.fold import HELD_OUT, TEST
from daguan.families.member import MemberSettings
from daguan.models.encoders.loading import load_encoder
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import LSTM
from daguan.models.tagger import Tagger
from daguan.nn.tables import OPTIMISERS
from daguan.pipeline.settings import load
from daguan.pipeline.stages import once
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.initial_encoders import encoder_with_vectors
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.prediction import TrainedTagger, default_overlap

CRF, SPAN, CNN = MEMBERS = ("bert_lstm_crf", "bert_lstm_span", "lstm_cnn")
MENDED, LABELS, SELECTION, FOLDS, CUT, ALL = "mended", "labels", "selection", "folds", "cut", "all"
ENCODER_OF = ("bert", "modern")
# at the preset's rates such small models do not leave the plateau
TUNING_RATES = {"encoder_learning_rate": 2e-3, "head_learning_rate": 5e-3}


class Rank9Settings(TextClaimSettings):
    """The settings of `reproduce daguan-rank9`: how small the preset rank9 is run, at rates for such sizes."""

    encoder: str = setting(
        "modern",
        "The pretrained encoder; bert, as rank 9 had, learns too little from this much text.",
        choices=ENCODER_OF,
    )
    train_lines: int = setting(1_500, "Labelled lines to train on, the first of the file; 0 for all.", ge=0)
    folds: int = setting(2, "Number of folds.", ge=2)
    layers: int = setting(2, "Layers of each encoder.", ge=1)
    hidden: int = setting(128, "Width of each encoder, a multiple of 64.", gt=0, multiple_of=64)
    length: int = setting(64, "Places of a window, [CLS] and [SEP] included.", gt=0, multiple_of=16)
    tokens: int = setting(800_000, "Tokens to pretrain on, repeats counted.", ge=1)
    epochs: int = setting(6, "Passes over the labelled lines; twice as many of the CNN.", ge=1)
    corpus_lines: int = setting(
        8_000, "Unlabelled lines of people_daily to pretrain on, the first of the file; 0 for all.", ge=0
    )

    def member(self, name: str, seed: int) -> MemberSettings:
        """Returns the settings of one of MEMBERS: the preset's at this size."""
        words = [
            f"seed={seed}", f"model.encoder={self.encoder}", f"encoder.layers={self.layers}",
            f"encoder.hidden={self.hidden}", f"encoder.heads={self.hidden // 32}",
            f"encoder.feed_forward={4 * self.hidden}", f"encoder.max_length={self.length}",
            f"model.lstm_hidden={self.hidden // 2}", f"pretrain.tokens={self.tokens}", "pretrain.batch_size=16",
            *(f"pretrain.{name}={rate}" for name, rate in RATES.items()),
            "train.batch_size=8", *(f"train.{name}={rate}" for name, rate in TUNING_RATES.items()),
            f"train.epochs={self.epochs}", f"ensemble.{CNN}.train.epochs={2 * self.epochs}",
            f"ensemble.{CNN}.encoder.ngram_buckets=20000",
        ]  # fmt: skip
        return load(["rank9", *words]).member(name)


class Models:
    """The models of one seed, trained when they are first asked for."""

    def __init__(self, chosen: Rank9Settings, text: ClaimText, seed: int) -> None:
        self.chosen, self.text, self.seed = chosen, text, seed
        self.fold_of_line: NDArray[np.int64] = assign_folds(text.train, FoldSettings(count=chosen.folds))

    def test(self, member: str, fold: int, fault: str) -> list[LineMarginals]:
        """Returns a model's marginals of the test lines."""
        return Marginals.load(self._model(member, fold, fault) / TEST).per_line()

    def held_out(self, member: str, fault: str) -> list[LineMarginals]:
        """Returns the marginals of the training lines, each by the model of the fold that held it out."""
        found: dict[int, LineMarginals] = {}
        for fold in range(self.chosen.folds):
            found |= Marginals.load(self._model(member, fold, fault) / HELD_OUT).by_line()
        return [found[line] for line in range(len(self.text.train))]

    def _model(self, member: str, fold: int, fault: str) -> Path:
        """Returns the folder with a model's answers. A fault that does not reach a model gives the mended one."""
        unreached = (fault == LABELS and member == CNN) or (fault == FOLDS and fold == 0)
        fault = MENDED if unreached else fault
        settings = self.chosen.member(member, self.seed)
        run = self._run(f"{member}-{fold}-{fault}", {"member": to_dict(settings)}, rows_of(settings))
        return _made(run, partial(self._train, member=member, fold=fold, fault=fault))

    def _train(self, run: Run, member: str, fold: int, fault: str) -> None:
        settings, watch, words = self.chosen.member(member, self.seed), Stopwatch(), self.text.vocabulary
        start = self._encoder(member, fault)
        torch.manual_seed(stream_seed(self.seed, "tagger-weights", fold))
        encoder = load_encoder(start, settings.model.encoder_dropout)
        tagger = Tagger(encoder, self.text.scheme, settings.model)
        window, overlap = settings.encoder.window, default_overlap(settings.encoder)
        trained = TrainedTagger(tagger, self.text.scheme, words, settings.model, window, overlap)
        kept_out = np.flatnonzero(self.fold_of_line == fold)
        learnt = self.fold_of_line != (0 if fault in (FOLDS, ALL) else fold)
        lines = [self.text.train[line] for line in np.flatnonzero(learnt)]
        lines = [cut(line, window) for line in lines] if fault in (CUT, ALL) else lines
        held_out = [self.text.train[line] for line in kept_out]
        selects = fault in (SELECTION, ALL)
        judged = held_out[:SELECTED_BY] if selects else []
        seed = stream_seed(self.seed, "tagger", fold)
        trainer = TaggerTrainer(trained, settings.train, self.chosen.engine, lines, judged, seed)
        if selects:
            train_and_select(trainer)
        else:
            for _ in trainer.steps():
                pass
        for name, numbers, sentences in (
            (HELD_OUT, kept_out.tolist(), held_out),
            (TEST, [*range(len(self.text.test))], self.text.test),
        ):
            found = trained.marginals(sentences, self.chosen.engine, np.float16)
            Marginals.of(numbers, found).save(run.path / name)
        run.finish(watch.seconds)

    def _encoder(self, member: str, fault: str) -> Path:
        """Returns the folder of what a member starts from, which the two members with one encoder share."""
        name = "cnn" if member == CNN else self.chosen.encoder
        fault = LABELS if fault in (LABELS, ALL) and member != CNN else MENDED
        settings = self.chosen.member(member, self.seed)
        facts = {part: to_dict(getattr(settings, part)) for part in ("encoder", "pretrain", "vectors")}
        run = self._run(
            f"{name}-{fault}",
            facts,
            [ENCODERS[settings.model.encoder], OBJECTIVES["mlm"], OPTIMISERS[settings.pretrain.optimiser]],
        )
        return _made(run, partial(self._pretrain, member=member, fault=fault))

    def _pretrain(self, run: Run, member: str, fault: str) -> None:
        settings, watch, engine = self.chosen.member(member, self.seed), Stopwatch(), self.chosen.engine
        if member == CNN:
            folder, words = self.text.folder, self.text.vocabulary
            encoder, _ = encoder_with_vectors(
                "cnn", settings.encoder, settings.vectors, folder, words, self.seed, lambda _: None
            )
            encoder.save(run.path)
        else:
            made = OverwrittenLabels if fault == LABELS else None
            learnt = (self.text, settings.model.encoder, settings.encoder, settings.pretrain, engine, self.seed)
            pretrained(*learnt, made)[0].model.save(run.path)
        run.finish(watch.seconds)

    def _run(self, stage: str, facts: dict[str, Any], rows: Sequence[Row]) -> Run:
        """Returns the run of that name, whose key covers sizes, data and code."""
        sizes = {name: value for name, value in to_dict(self.chosen).items() if name not in COMMON}
        facts = {**sizes, **facts, "seed": self.seed, **inputs_of(self.chosen)}
        code = [Row(f"{__name__}:Models"), *rows]
        return run_of(Path(self.chosen.work) / "reproduce-daguan-rank9", f"{stage}-{self.seed}", facts, code)


def _made(run: Run, make: Callable[[Run], None]) -> Path:
    """Returns the folder of a run, which is made unless it is finished."""
    if not run.finished:
        once(run, make, wait=True)
    return run.path


def rows_of(settings: MemberSettings) -> list[Row]:
    """Returns the rows of tables that a member's models are made of."""
    optimisers = [OPTIMISERS[name] for name in dict.fromkeys((settings.pretrain.optimiser, settings.train.optimiser))]
    heads = [HEADS[head.removeprefix(LSTM)] for head in settings.model.heads]
    return [ENCODERS[settings.model.encoder], OBJECTIVES["mlm"], *optimisers, *heads]
