"""Convolutions over token and n-gram embeddings, without pretraining; importing this registers it with AutoModel.

BiLSTMs may follow on top, as in rank 9's first family. The layers are gated linear units as in Dauphin et al. 2017
(arXiv 1612.08083 §2), with a norm before each and a residual connection around it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, pad
from transformers import AutoConfig, AutoModel

from daguan.models.encoders.architecture import Architecture, layers_and_norm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.shallow import LstmLayer, ShallowConfig, ShallowModel, shallow_fields
from daguan.nn.dropouts import ByteDropout, set_byte_dropout


class CnnConfig(ShallowConfig):
    """The configuration.

    Attributes:
        kernel_size: the number of places that a convolution reads.
        lstm_layers: the number of BiLSTMs on top.
    """

    model_type = "daguan-cnn"
    kernel_size: int = 3
    lstm_layers: int = 0


class ConvolutionLayer(nn.Module):
    """Computes x + dropout(gate(convolution(norm(x)))); beyond the sentence the convolution reads zeros.

    The convolution is one matrix product with the neighbours side by side: a CPU prepares nothing for a new length.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.norm = nn.LayerNorm(width)
        self.read = nn.Linear(kernel * width, 2 * width)
        self.dropout = ByteDropout(0.0)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return (B,T,H) from hidden (B,T,H) and mask (B,T)."""
        normed = self.norm(hidden) * mask.unsqueeze(2)
        convolved = glu(self.read(neighbours(normed, self.kernel)), 2)
        result: Tensor = hidden + self.dropout(convolved)
        return result


def neighbours(features: Tensor, kernel: int) -> Tensor:
    """Return (B,T,kernel·H): the features of each place's neighbours from left to right, zeros beyond either end."""
    length, reach = features.shape[1], kernel // 2
    wide = pad(features, (0, 0, reach, reach))
    return torch.cat([wide[:, start : start + length] for start in range(kernel)], dim=2)


class CnnModel(ShallowModel):
    """The encoder."""

    config_class = CnnConfig
    config: CnnConfig
    widened = True

    def new_layers(self, width: int) -> list[nn.Module]:
        config = self.config
        convolutions = [ConvolutionLayer(width, config.kernel_size) for _ in range(config.num_hidden_layers)]
        return [*convolutions, *(LstmLayer(width, width) for _ in range(config.lstm_layers))]


AutoConfig.register(CnnConfig.model_type, CnnConfig)
AutoModel.register(CnnConfig, CnnModel)


def new_cnn(settings: EncoderSettings, vocabulary_size: int) -> CnnModel:
    """Return a model with random weights."""
    fields = shallow_fields(settings, vocabulary_size)
    return CnnModel(CnnConfig(**fields, kernel_size=settings.kernel, lstm_layers=settings.lstm_layers))


CNN = Architecture(new_cnn, set_byte_dropout, layers_and_norm)
