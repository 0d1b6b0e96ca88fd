"""MASS (Song et al. 2019, arXiv 1905.02450): the modern encoder, and a decoder that writes the cut fragment.

In Hugging Face layout, all in model.safetensors; importing this module registers it with AutoModel. `AutoModel` returns
the encoder, `AutoModelForMaskedLM` the encoder with its language-model head, which the decoder shares, and
`AutoModelForSeq2SeqLM` all parts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
from transformers.modeling_outputs import Seq2SeqLMOutput

from daguan.data.vocabulary import MASK
from daguan.models.decoder import Decoder
from daguan.models.encoders.modern import (
    MODERN,
    ModernConfig,
    ModernForMaskedLM,
    ModernModel,
    modern_fields,
)
from daguan.models.encoders.settings import EncoderSettings


class MassConfig(ModernConfig):
    """The configuration; decoder_layers is the number of the decoder's layers, if there is a decoder."""

    model_type = "daguan-mass"
    decoder_layers: int = 2
    mask_token_id: int = MASK


class MassModel(ModernModel):
    """The encoder."""

    config_class = MassConfig


class MassForMaskedLM(ModernForMaskedLM):
    """The encoder and its language-model head."""

    config_class, encoder_class = MassConfig, MassModel
    config: MassConfig


class MassForConditionalGeneration(MassForMaskedLM):
    """The encoder, the decoder, and one language-model head tied to the embeddings of both."""

    def __init__(self, config: MassConfig) -> None:
        super().__init__(config)
        self.decoder = Decoder(config.hidden_size, config.decoder_layers)

    def forward(  # type: ignore[override]
        self, input_ids: Tensor, decoder_input_ids: Tensor, decoder_position_ids: Tensor, **_: Any
    ) -> Seq2SeqLMOutput:
        """Return logits (B,M,V) of the tokens after decoder_input_ids (B,M), whose places in the text are
        decoder_position_ids (B,M); input_ids (B,T)."""
        logits = self.write(input_ids, decoder_input_ids, decoder_position_ids)
        return Seq2SeqLMOutput(logits=logits.view(*decoder_input_ids.shape, -1))

    def write(self, inputs: Tensor, fed: Tensor, places: Tensor) -> Tensor:
        """Return the logits (B·M,V) of `forward`.

        The decoder does not attend to the encoder's states at [MASK] (as in the paper's code: `enc_mask = x1 != mask`).
        """
        states = self.modern(inputs).last_hidden_state
        blocked = (inputs == self.config.mask_token_id)[:, None, None]
        written = self.decoder(self.modern.embed(fed), places, states, blocked)
        return self.predict(written.flatten(0, 1))


AutoConfig.register(MassConfig.model_type, MassConfig)
AutoModel.register(MassConfig, MassModel)
AutoModelForMaskedLM.register(MassConfig, MassForMaskedLM)
AutoModelForSeq2SeqLM.register(MassConfig, MassForConditionalGeneration)


def new_mass(settings: EncoderSettings, vocabulary_size: int) -> MassForMaskedLM:
    """Return a model with initial weights and without a decoder."""
    fields = modern_fields(settings, vocabulary_size)
    return MassForMaskedLM(MassConfig(**fields, decoder_layers=settings.decoder_layers))


def with_decoder(model: MassForMaskedLM) -> MassForConditionalGeneration:
    """Return the model with its decoder, a new one if it has none."""
    if isinstance(model, MassForConditionalGeneration):
        return model
    whole = MassForConditionalGeneration(model.config)
    whole.load_state_dict(model.state_dict(), strict=False)
    return whole


MASS = replace(MODERN, new=new_mass, with_decoder=with_decoder)
