"""ELECTRA's encoder (Clark et al. 2020, arXiv 2003.10555) as Hugging Face builds it: BERT over narrow embeddings."""

from __future__ import annotations

from typing import Any

from daguan.models.architecture import Architecture
from daguan.models.bert import choose_bert_attention, set_bert_dropout
from daguan.models.encoder_settings import EncoderSettings
from daguan.text.vocabulary import PAD


def new_electra(settings: EncoderSettings, vocabulary_size: int) -> Any:
    """An ElectraForMaskedLM (the source's generator) that has read nothing."""
    from transformers import ElectraConfig, ElectraForMaskedLM

    config = ElectraConfig(
        vocab_size=vocabulary_size,
        embedding_size=settings.width,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=settings.feed_forward,
        max_position_embeddings=settings.max_length,
        initializer_range=settings.initial_std,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=PAD,
    )
    model: Any = ElectraForMaskedLM(config)
    return model


ELECTRA = Architecture(
    model_type="electra",
    new=new_electra,
    set_dropout=set_bert_dropout,
    project=lambda model, hidden: model.generator_lm_head(model.generator_predictions(hidden)),
    settle=choose_bert_attention,
)
