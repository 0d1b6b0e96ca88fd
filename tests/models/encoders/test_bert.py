"""What is BERT's own: its attention on a CPU and on a GPU, its n-gram start."""

import math
from typing import Any

import pytest
import torch
from test_encoders import LENGTHS, SMALL, VOCABULARY, mask_of, random_ids
from torch import Tensor

from daguan.models.encoders.bert import choose_bert_attention
from daguan.models.encoders.loading import MaskedLm, new_encoder
from daguan.models.encoders.settings import EncoderSettings


@torch.no_grad()
def test_each_kind_of_attention_gives_the_same_output():
    torch.manual_seed(0)
    encoder = new_encoder("bert", SMALL, VOCABULARY, dropout=0.0).eval()
    ids, mask = random_ids(3, 14), mask_of(LENGTHS, 14)
    outputs = []
    for device in ("cpu", "meta"):  # meta stands for a GPU
        choose_bert_attention(encoder.model, torch.device(device))
        outputs.append(encoder(ids, mask)[mask])
    assert torch.allclose(*outputs, atol=1e-5)
    assert encoder.to_device(torch.device("cpu")).model.config._attn_implementation == "eager"


@torch.no_grad()
def first_attention(bert: Any, ids: Tensor) -> Tensor:
    """(heads,T,T): the mean over the batch of the first layer's attention, computed from its weights."""
    hidden, attention = bert.embeddings(ids), bert.encoder.layer[0].attention.self
    heads = bert.config.num_attention_heads
    query, key = (
        linear(hidden).unflatten(2, (heads, -1)).transpose(1, 2) for linear in (attention.query, attention.key)
    )
    return (query @ key.transpose(2, 3) / math.sqrt(query.shape[3])).softmax(3).mean(0)


def mass_at(attention: Tensor, offset: int, margin: int) -> Tensor:
    """Attention from i to i+offset, for places i at least `margin` from either end."""
    places = torch.arange(margin, attention.shape[0] - margin)
    return attention[places, places + offset]


@pytest.mark.parametrize(("hidden", "heads"), [(256, 4), (768, 12)])
def test_the_ngram_initialisation_lets_head_h_read_its_neighbour(hidden, heads):
    torch.manual_seed(0)
    settings = EncoderSettings(layers=1, hidden=hidden, heads=heads, feed_forward=64, max_length=128)
    attention = first_attention(MaskedLm("bert", settings, 1000).model.bert, random_ids(4, 128, vocabulary_size=1000))
    offsets = [sign * distance for distance in range(1, heads // 2 + 1) for sign in (-1, 1)]
    for head, offset in enumerate(offsets):
        assert mass_at(attention[head], offset, margin=8).min() > 0.5, f"head {head}, offset {offset}"


def test_the_normal_initialisation_reads_everything_alike():
    torch.manual_seed(0)
    settings = EncoderSettings(layers=1, hidden=256, heads=4, feed_forward=64, initialisation="normal")
    attention = first_attention(MaskedLm("bert", settings, 1000).model.bert, random_ids(4, 128, vocabulary_size=1000))
    assert attention.max() < 0.1


def test_our_reading_of_the_attention_is_hugging_face_s():
    torch.manual_seed(0)
    bert = MaskedLm("bert", SMALL, VOCABULARY).model.bert
    bert.set_attn_implementation("eager")
    ids = random_ids(3, 32)
    theirs = bert(ids, output_attentions=True).attentions[0]
    assert torch.allclose(first_attention(bert, ids), theirs.mean(0), atol=1e-5)


def test_the_initialisation_leaves_every_weight_trainable_and_finite():
    model = MaskedLm("bert", SMALL, VOCABULARY)
    model(random_ids(2, 32), torch.tensor([[3], [9]])).square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.isfinite().all(), name
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    assert model.model.bert.encoder.layer[0].attention.self.query.weight.grad.any()
    assert model.model.bert.embeddings.position_embeddings.weight.grad.any()
