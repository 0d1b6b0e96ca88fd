"""RoBERTa (Liu et al. 2019, arXiv 1907.11692) as Hugging Face builds it, with BERT's initialisation that reads n-grams.

Its layers are BERT's; positions start after the padding token's id. `pretrain` follows part of its recipe for every
encoder: full sentences in packed blocks, new masks in each epoch, no next-sentence loss, β2 .98. The rest is in
configs/roberta.yaml.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daguan.data.vocabulary import CLS, PAD, SEP
from daguan.models.encoders.bert import BERT, bert_fields, initialise_ngram
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


ROBERTA = replace(BERT, new=new_roberta, project=lambda model, hidden: model.lm_head(hidden))
