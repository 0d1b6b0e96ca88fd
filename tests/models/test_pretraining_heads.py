"""Generators and the heads beside a masked language model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import PRETRAINED
from daguan.models.pretraining_heads import Generator, copy_or_predict, likeliest, sample

SIZE = EncoderSettings(layers=4, hidden=32, heads=2, feed_forward=64, max_length=32)
V = 20


def generator_of(architecture: str) -> tuple[Generator, MaskedLm]:
    torch.manual_seed(0)
    lm = MaskedLm(architecture, SIZE, V)
    return Generator(architecture, SIZE, 0.25, lm), lm


@pytest.mark.parametrize("architecture", PRETRAINED)
def test_a_generator_is_a_quarter_as_deep_and_has_the_encoders_table(architecture: str) -> None:
    generator, lm = generator_of(architecture)
    assert generator.lm.model.config.num_hidden_layers == 1
    table = lm.model.get_input_embeddings().weight
    assert generator.lm.model.get_input_embeddings().weight is table
    assert sum(parameter is table for parameter in generator.parameters()) == 1
    assert not [p for p in generator.parameters() if p is not table and p.shape == table.shape]


@pytest.mark.parametrize("architecture", PRETRAINED)
def test_the_shared_table_learns_from_reading_and_from_guessing_of_the_generator(architecture: str) -> None:
    generator, lm = generator_of(architecture)
    ids = torch.full((1, 8), 7)
    logits, _ = generator(ids, torch.tensor([[3]]), torch.tensor([[0.5]]))
    logits[0, 9].backward()
    gradient = lm.model.get_input_embeddings().weight.grad
    assert gradient[9].abs().sum() > 0  # guessed, not read
    assert gradient[7].abs().sum() > 0  # read
    assert gradient[11].abs().sum() == 0


@pytest.mark.parametrize("architecture", PRETRAINED)
def test_a_generator_replaces_the_chosen_places_alone_and_by_no_special(architecture: str) -> None:
    generator, _ = generator_of(architecture)
    ids = torch.full((4, 32), 7)
    positions = torch.arange(1, 31, 2).expand(4, -1)
    _, read = generator(ids, positions, torch.rand(4, 15))
    assert (read[:, 0::2] == 7).all()
    assert (read >= len(SPECIALS)).all()
    assert (read < V).all()
    assert len(read.unique()) > 5


def test_samples_follow_the_softmax() -> None:
    logits = torch.tensor([[0.0, 2.0, -3.0, 1.0]]).expand(20_000, -1)
    draws = torch.from_numpy(np.random.default_rng(0).random(20_000, dtype=np.float32))
    counts = torch.bincount(sample(logits, draws), minlength=4)
    expected = logits[0].softmax(0) * len(draws)
    assert ((counts - expected) ** 2 / expected).sum() < 21  # 3 degrees of freedom: p < 1e-4


def test_a_draw_at_either_end_takes_the_first_or_last_class_there_is() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 0.0], [-torch.inf, 0.0, 0.0]])
    assert sample(logits, torch.tensor([0.0, 1.0])).tolist() == [1, 2]


def test_copying_and_predicting_are_one_distribution_over_the_vocabulary() -> None:
    torch.manual_seed(0)
    logits, copy, read = torch.randn(6, V), 3 * torch.randn(6), torch.randint(0, V, (6,))
    mixture = torch.sigmoid(copy)[:, None] * torch.eye(V)[read] + torch.sigmoid(-copy)[:, None] * logits.softmax(1)
    for token in range(V):
        logs = copy_or_predict(logits, copy, read, torch.full((6,), token))
        assert torch.allclose(logs.exp(), mixture[:, token], atol=1e-6)
    assert likeliest(logits, copy, read).tolist() == mixture.argmax(1).tolist()
    assert {int(token) for token in likeliest(logits, copy - 9, read)} != {int(token) for token in read}
