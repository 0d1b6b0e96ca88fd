"""What claims about images have in common that are also shown on a tagger of people_daily: sizes and training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daguan.core.settings import setting
from daguan.core.tables import Row
from daguan.experiments.claims.images import ImageClaimSettings, image_inputs
from daguan.experiments.claims.learning import encoder_of, pretrained, tagged
from daguan.experiments.claims.small_encoders import HIDDEN, small_encoder, small_pretraining, small_tuning
from daguan.experiments.claims.text import ClaimText, TextClaimSettings, inputs_of, text_of
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.nn.tables import OPTIMISERS
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.prediction import TrainedTagger
from daguan.training.pretrain_settings import PretrainSettings

ENCODER, HEAD = "modern", "crf"


class ImageAndTextSettings(ImageClaimSettings):
    """The settings of claims about images and text."""

    seeds: int = setting(8, "Number of seeds; each trains every side. Images are cheap.", ge=1)
    corpus_lines: int = setting(1_200, "Unlabelled lines of people_daily to pretrain an encoder on.", ge=1)
    tokens: int = setting(500_000, "Tokens to pretrain it on, repeats counted.", ge=1)
    hidden: int = setting(HIDDEN, "Width of that encoder, a multiple of 64.", gt=0, multiple_of=64)
    train_lines: int = setting(600, "Labelled lines to train a tagger on.", ge=1)
    test_lines: int = setting(1_000, "Labelled lines to test it on.", ge=1)
    epochs: int = setting(6, "Passes of a tagger over its lines.", ge=1)

    @property
    def text(self) -> TextClaimSettings:
        """Returns what encoders and taggers read."""
        return TextClaimSettings(
            work=self.work, threads=self.threads, device=self.device, train_lines=self.train_lines,
            test_lines=self.test_lines, corpus_lines=self.corpus_lines,
        )  # fmt: skip

    @property
    def encoder(self) -> EncoderSettings:
        """Returns the size of the encoder."""
        return small_encoder(self.hidden)

    @property
    def pretrain(self) -> PretrainSettings:
        return small_pretraining(self.tokens, batch_size=8)


def small_tagger(
    chosen: ImageAndTextSettings, model: ModelSettings, seed: int, losses: list[float] | None = None
) -> tuple[ClaimText, TrainedTagger]:
    """Returns the text and a tagger, pretrained and then fine-tuned; all taggers of a seed start from equal encoders.

    losses: gets the moving average of the loss after each update of fine-tuning.
    """
    text, size = text_of(chosen.text), chosen.encoder
    trainer, _, _ = pretrained(text, ENCODER, size, chosen.pretrain, chosen.engine, seed)
    encoder = encoder_of(trainer, model.encoder_dropout)
    return text, tagged(text, size, model, small_tuning(chosen.epochs), chosen.engine, seed, encoder, losses)


def inputs(chosen: ImageAndTextSettings) -> dict[str, Any]:
    """Returns the hashes of the images, and the slice of the text."""
    return {**image_inputs(chosen), "text": inputs_of(chosen.text)}


def rows(chosen: ImageAndTextSettings) -> Sequence[Row]:
    """Returns the rows of tables that these encoders and taggers load by name."""
    return [ENCODERS[ENCODER], HEADS[HEAD], OPTIMISERS["muon"], OPTIMISERS["adamw"], OBJECTIVES["mlm"]]
