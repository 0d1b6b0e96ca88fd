"""BiLSTMs over token and n-gram embeddings, without pretraining; importing this module registers it with AutoModel.

The usual tagger before BERT (Huang et al. 2015, arXiv 1508.01991; Lample et al. 2016, arXiv 1603.01360).
"""

from __future__ import annotations

from torch import nn
from transformers import AutoConfig, AutoModel

from daguan.models.encoders.architecture import Architecture, layers_and_norm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.shallow import LstmLayer, ShallowConfig, ShallowModel, shallow_fields
from daguan.nn.dropouts import set_byte_dropout


class LstmConfig(ShallowConfig):
    """The configuration; hidden_size is the width of both directions together."""

    model_type = "daguan-lstm"


class LstmModel(ShallowModel):
    """The encoder."""

    config_class = LstmConfig

    def new_layers(self, width: int) -> list[nn.Module]:
        out, count = self.config.hidden_size, self.config.num_hidden_layers
        return [LstmLayer(size, out) for size in (width, *[out] * (count - 1))]


AutoConfig.register(LstmConfig.model_type, LstmConfig)
AutoModel.register(LstmConfig, LstmModel)


def new_lstm(settings: EncoderSettings, vocabulary_size: int) -> LstmModel:
    """Return a model with random weights."""
    return LstmModel(LstmConfig(**shallow_fields(settings, vocabulary_size)))


LSTM = Architecture(new_lstm, set_byte_dropout, layers_and_norm)
