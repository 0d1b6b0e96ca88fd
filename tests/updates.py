"""Trainers of everything that an update may be made of, to count what makes one wait for a GPU.

What does wait, and why, is in WAITING.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from counting_text import counting_blocks
from daguan.core.settings import build
from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import FROM_SCRATCH, PRETRAINED, learns
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.nn.tables import ADVERSARIES, AVERAGES, MOMENTA, OPTIMISERS
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.loop import Trainer
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.prediction import TrainedTagger
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer
from tiny_taggers import SCHEME, SENTENCES, SIZE, VOCABULARY, tagger

Make = Callable[[EngineSettings, Path], Trainer[Any]]
WAITING = {
    "pointer": "its decoder has as many steps as the batch has entities",
    "pytorch_crf": "the package asks whether each line has a token",
}
BLOCK = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32, embedding_size=32)


def pretraining(architecture: str, **settings: Any) -> Make:
    def make(engine: EngineSettings, folder: Path) -> Trainer[Any]:
        values = {"batch_size": 4, "accumulation": 2, "tokens": 400 * 8 * 32} | settings
        blocks = counting_blocks(folder, 50, BLOCK.max_length)
        chosen = build(PretrainSettings, values)
        return Pretrainer(architecture, BLOCK, chosen, engine, blocks, len(SPECIALS) + 40, seed=1)

    return make


def fine_tuning(head: str = "crf", model: dict[str, Any] | None = None, **settings: Any) -> Make:
    def make(engine: EngineSettings, folder: Path) -> Trainer[Any]:
        noise = {"encoder_dropout": 0.1, "dropout": 0.1, "token_dropout": 0.1}
        made = tagger(head, **(noise | (model or {})))
        trained = TrainedTagger(made, SCHEME, VOCABULARY, ModelSettings(), SIZE.window, 10)
        whole = TrainSettings(**({"epochs": 40, "batch_size": 1, "accumulation": 2, "evaluations": 1} | settings))
        return TaggerTrainer(trained, whole, engine, SENTENCES, SENTENCES, 1)

    return make


def _encoder_of(objective: str) -> str:
    return next(name for name in ("modern", *PRETRAINED) if learns(name, objective))


UPDATES: dict[str, Make] = {
    **{f"pretrain {name}": pretraining(_encoder_of(name), objective=name) for name in OBJECTIVES},
    **{f"pretrain {name}": pretraining(name) for name in PRETRAINED if learns(name, "mlm")},
    **{f"pretrain by {name}": pretraining("modern", optimiser=name) for name in OPTIMISERS},
    **{head: fine_tuning(head) for head in HEADS},
    "lstm_crf": fine_tuning("lstm_crf"),
    **{f"on {name}": fine_tuning(model={"encoder": name}) for name in FROM_SCRATCH},
    **{f"by {name}": fine_tuning(optimiser=name, model={"encoder": "modern"}) for name in OPTIMISERS},
    **{f"lookahead {name}": fine_tuning(lookahead_steps=1, lookahead_momentum=name) for name in MOMENTA},
    **{f"against {name}": fine_tuning(adversary=name, adversary_start=0.0) for name in ADVERSARIES},
    **{f"averaging {name}": fine_tuning(averaging=name) for name in AVERAGES},
    **{f"r_drop {head}": fine_tuning(head, {"r_drop": 1.0}) for head in HEADS if head not in WAITING},
    "smoothing": fine_tuning(model={"label_smoothing": 0.1}),
    "n-grams": fine_tuning(model={"ngram_buckets": 64, "ngram_dropout": 0.5}),
}
QUIET = {name: make for name, make in UPDATES.items() if name not in WAITING}
