"""RoBERTa (Liu et al. 2019, arXiv 1907.11692) as Hugging Face builds it, with BERT's start that reads n-grams.

Its layers are BERT's; positions are counted from one past the padding token's id. Of its recipe, full sentences in
packed blocks, masks drawn afresh, no next-sentence loss and β2 .98 are how `pretrain` works anyway; the rest is in
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
    """A RobertaForMaskedLM that has read nothing."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    fields = bert_fields(settings, vocabulary_size)
    fields["max_position_embeddings"] += PAD + 1
    config = RobertaConfig(
        **fields,
        type_vocab_size=1,
        layer_norm_eps=1e-5,  # of the released models
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
    settle=choose_bert_attention,
)
