"""MASS (Song et al. 2019, arXiv 1905.02450): the modern encoder, and a decoder that writes what was cut from the text.

In Hugging Face layout, the whole of it in model.safetensors; importing this module makes AutoModel know it. `AutoModel`
gives the encoder, `AutoModelForMaskedLM` the encoder with its language-model head, which is the decoder's too, and
`AutoModelForSeq2SeqLM` all of it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
from transformers.modeling_outputs import Seq2SeqLMOutput

from daguan.data.vocabulary import MASK
from daguan.models.decoder import Decoder
from daguan.models.encoders.architecture import Architecture, layers_and_norm
from daguan.models.encoders.modern import (
    ModernConfig,
    ModernForMaskedLM,
    ModernModel,
    modern_fields,
    set_modern_dropout,
)
from daguan.models.encoders.settings import EncoderSettings


class MassConfig(ModernConfig):
    """decoder_layers: of the decoder, where there is one."""

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
        """The tokens after those that the decoder is fed. input_ids (B,T), decoder_input_ids (B,M) and their places in
        the text, decoder_position_ids (B,M) → logits (B,M,V).

        The decoder does not see the encoder's states at [MASK] (as in the paper's code: `enc_mask = x1 != mask`).
        """
        states = self.modern(input_ids).last_hidden_state
        blocked = (input_ids == self.config.mask_token_id)[:, None, None]
        written = self.decoder(self.modern.embed(decoder_input_ids), decoder_position_ids, states, blocked)
        return Seq2SeqLMOutput(logits=self.predict(written))


AutoConfig.register(MassConfig.model_type, MassConfig)
AutoModel.register(MassConfig, MassModel)
AutoModelForMaskedLM.register(MassConfig, MassForMaskedLM)
AutoModelForSeq2SeqLM.register(MassConfig, MassForConditionalGeneration)


def new_mass(settings: EncoderSettings, vocabulary_size: int) -> MassForMaskedLM:
    """A model that has read nothing, as yet without its decoder."""
    fields = modern_fields(settings, vocabulary_size)
    return MassForMaskedLM(MassConfig(**fields, decoder_layers=settings.decoder_layers))


def with_decoder(model: MassForMaskedLM) -> MassForConditionalGeneration:
    """The model, with a decoder that has learnt nothing unless it has one."""
    if isinstance(model, MassForConditionalGeneration):
        return model
    whole = MassForConditionalGeneration(model.config)
    whole.load_state_dict(model.state_dict(), strict=False)
    return whole


MASS = Architecture(
    new_mass,
    set_modern_dropout,
    layers_and_norm,
    lambda model, hidden: model.predict(hidden),
    with_decoder=with_decoder,
)
