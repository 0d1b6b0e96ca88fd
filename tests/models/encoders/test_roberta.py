"""What is RoBERTa's own: positions counted from one past the padding token."""

import pytest
import torch
from test_encoders import LENGTHS, SMALL, VOCABULARY, mask_of, random_ids

from daguan.data.vocabulary import PAD
from daguan.models.encoders.loading import MaskedLm, new_encoder


@pytest.mark.parametrize("length", [1, 7, SMALL.max_length])
def test_a_row_as_long_as_the_settings_say_reads_the_positions_after_the_padding_s(length):
    model = MaskedLm("roberta", SMALL, VOCABULARY).model
    model(random_ids(2, length)).logits.square().sum().backward()
    table = model.roberta.embeddings.position_embeddings
    assert table.num_embeddings == SMALL.max_length + PAD + 1
    read = table.weight.grad.any(1).nonzero().flatten()
    assert read.tolist() == list(range(PAD + 1, PAD + 1 + length))


@torch.no_grad()
def test_padding_has_the_position_that_is_never_trained():
    encoder = new_encoder("roberta", SMALL, VOCABULARY, 0.0).eval()
    ids, mask = random_ids(3, 14), mask_of(LENGTHS, 14)
    seen = {}
    encoder.model.embeddings.position_embeddings.register_forward_hook(lambda _, given, __: seen.update(ids=given[0]))
    encoder(ids.where(mask, PAD), mask)
    for row, length in enumerate(LENGTHS):
        framed = length + 2
        assert seen["ids"][row].tolist() == [*range(1, framed + 1), *[PAD] * (16 - framed)]
