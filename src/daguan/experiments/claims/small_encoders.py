"""The sizes and rates of the small encoders that claims about text train, in one place.

A modern encoder of two layers of 128 leaves the unigram plateau within some hundred updates at these rates.
"""

from __future__ import annotations

from typing import Any

from daguan.models.encoders.settings import EncoderSettings
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.pretrain_settings import PretrainSettings

LAYERS, HIDDEN, LENGTH = 2, 128, 128
HEAD_WIDTH = 32
RATES = {"learning_rate": 3e-3, "muon_learning_rate": 0.03}
TUNING_RATE = 1e-3  # of an encoder in fine-tuning


def small_encoder(hidden: int, layers: int = LAYERS, length: int = LENGTH, **more: Any) -> EncoderSettings:
    """Returns the size of an encoder, with heads of HEAD_WIDTH and a feed-forward 4 times as wide as the layers."""
    return EncoderSettings(
        layers=layers, hidden=hidden, heads=hidden // HEAD_WIDTH, feed_forward=4 * hidden, max_length=length, **more
    )


def small_pretraining(tokens: int, batch_size: int, **more: Any) -> PretrainSettings:
    """Returns the settings of pretraining at RATES, unless others are named."""
    return PretrainSettings(tokens=tokens, batch_size=batch_size, **RATES | more)


def small_tuning(epochs: int) -> TrainSettings:
    """Returns the settings of fine-tuning."""
    return TrainSettings(epochs=epochs, encoder_learning_rate=TUNING_RATE)
