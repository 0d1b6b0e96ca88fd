"""ELECTRA's encoder (Clark et al. 2020, arXiv 2003.10555) as Hugging Face builds it: BERT over narrow embeddings."""

from __future__ import annotations

from typing import Any

from daguan.models.encoders.architecture import Architecture
from daguan.models.encoders.bert import bert_fields, choose_bert_attention, depth_of_bert, set_bert_dropout
from daguan.models.encoders.settings import EncoderSettings


def new_electra(settings: EncoderSettings, vocabulary_size: int) -> Any:
    """Return an ElectraForMaskedLM, the paper's generator, with random weights."""
    from transformers import ElectraConfig, ElectraForMaskedLM

    config = ElectraConfig(**bert_fields(settings, vocabulary_size), embedding_size=settings.width)
    model: Any = ElectraForMaskedLM(config)
    return model


ELECTRA = Architecture(
    new=new_electra,
    set_dropout=set_bert_dropout,
    depth=depth_of_bert,
    project=lambda model, hidden: model.generator_lm_head(model.generator_predictions(hidden)),
    choose_attention=choose_bert_attention,
)
