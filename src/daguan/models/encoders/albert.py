"""ALBERT (Lan et al. 2020, arXiv 1909.11942) as Hugging Face builds it: narrow embeddings, shared layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daguan.data.vocabulary import CLS, SEP
from daguan.models.encoders.architecture import Depth
from daguan.models.encoders.bert import BERT, bert_fields
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.dropouts import ByteDropout


def new_albert(settings: EncoderSettings, vocabulary_size: int) -> Any:
    """Return an AlbertForMaskedLM with random weights."""
    from transformers import AlbertForMaskedLM

    model: Any = AlbertForMaskedLM(albert_config(settings, vocabulary_size))
    return model


def albert_config(settings: EncoderSettings, vocabulary_size: int) -> Any:
    """Return the AlbertConfig for the settings."""
    from transformers import AlbertConfig

    return AlbertConfig(
        **bert_fields(settings, vocabulary_size),
        embedding_size=settings.width,
        num_hidden_groups=settings.groups,
        hidden_act="gelu_pytorch_tanh",  # the default's function in one operation
        bos_token_id=CLS,
        eos_token_id=SEP,
    )


def set_albert_dropout(albert: Any, p: float) -> None:
    """Put dropout after the embeddings and each attention; Hugging Face's layer has none after its feed-forward."""
    albert.embeddings.dropout = ByteDropout(p)
    for group in albert.encoder.albert_layer_groups:
        for layer in group.albert_layers:
            layer.attention.output_dropout = ByteDropout(p)


def depth_of_albert(albert: Any) -> Depth:
    """Returns the groups of layers that share weights, each as one layer."""
    return Depth([[group] for group in albert.encoder.albert_layer_groups])


ALBERT = replace(
    BERT,
    new=new_albert,
    set_dropout=set_albert_dropout,
    depth=depth_of_albert,
    project=lambda model, hidden: model.predictions(hidden),
)
