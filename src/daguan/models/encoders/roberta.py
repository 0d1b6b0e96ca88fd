"""RoBERTa (Liu et al. 2019, arXiv 1907.11692) as Hugging Face builds it, with BERT's initialisation that reads n-grams.

Its layers are BERT's; positions start after the padding token's id. `pretrain` follows part of its recipe for every
encoder: full sentences in packed blocks, new masks in each epoch, no next-sentence loss, β2 .98. The rest is in
configs/roberta.yaml.
"""

from __future__ import annotations

from typing import Any

from daguan.data.vocabulary import CLS, PAD, SEP
from daguan.models.encoders.architecture import Architecture
from daguan.models.encoders.bert import (
    bert_fields,
    choose_bert_attention,
    depth_of_bert,
    initialise_ngram,
    set_bert_dropout,
)
from daguan.models.encoders.settings import EncoderSettings


def new_roberta(settings: EncoderSettings, vocabulary_size: int) -> Any:
    """Return a RobertaForMaskedLM with initial weights."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    fields = bert_fields(settings, vocabulary_size)
    fields["max_position_embeddings"] += PAD + 1
    config = RobertaConfig(
        **fields,
        type_vocab_size=1,
        layer_norm_eps=1e-5,  # as in the released models
        bos_token_id=CLS,
        eos_token_id=SEP,
    )
    model: Any = RobertaForMaskedLM(config)
    if settings.initialisation == "ngram":
        initialise_ngram(model.roberta)
    return model


ROBERTA = Architecture(
    new=new_roberta,
    set_dropout=set_bert_dropout,
    depth=depth_of_bert,
    project=lambda model, hidden: model.lm_head(hidden),
    choose_attention=choose_bert_attention,
)
