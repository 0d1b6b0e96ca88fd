"""ELECTRA's encoder (Clark et al. 2020, arXiv 2003.10555) as Hugging Face builds it: BERT over narrow embeddings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daguan.models.encoders.bert import BERT, bert_fields
from daguan.models.encoders.settings import EncoderSettings


def new_electra(settings: EncoderSettings, vocabulary_size: int) -> Any:
    """Return an ElectraForMaskedLM, the paper's generator, with random weights."""
    from transformers import ElectraConfig, ElectraForMaskedLM

    config = ElectraConfig(**bert_fields(settings, vocabulary_size), embedding_size=settings.width)
    model: Any = ElectraForMaskedLM(config)
    return model


ELECTRA = replace(
    BERT, new=new_electra, project=lambda model, hidden: model.generator_lm_head(model.generator_predictions(hidden))
)
