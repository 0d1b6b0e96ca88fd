"""The padded BiLSTM against torch's own on packed sequences."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from daguan.nn.lstm import BiLstm, reversed_positions

LENGTHS = [9, 1, 4, 12, 4]


def mask_of(lengths: list[int], length: int | None = None) -> Tensor:
    return torch.arange(length or max(lengths)) < torch.tensor(lengths).unsqueeze(1)


@pytest.fixture
def features() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(len(LENGTHS), max(LENGTHS), 6)


def bilstm(layers: int = 1) -> BiLstm:
    torch.manual_seed(1)
    return BiLstm(6, 5, layers, dropout=0.5).eval()


def torch_s_own(lstm: BiLstm, layers: int) -> nn.LSTM:
    own = nn.LSTM(6, 5, layers, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for layer in range(layers):
            for suffix, source in (("", lstm.forwards[layer]), ("_reverse", lstm.backwards[layer])):
                for name, weight in source.named_parameters():
                    getattr(own, name.replace("l0", f"l{layer}") + suffix).copy_(weight)
    return own


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(9, 12))
@examples(deadline=None)
def test_reversed_positions_reverse_each_sentence_and_are_their_own_inverse(lengths, width):
    positions = reversed_positions(mask_of(lengths, width))
    assert positions.gather(1, positions).equal(torch.arange(width).expand(len(lengths), width))
    for row, length in zip(positions.tolist(), lengths, strict=True):
        assert row == [*reversed(range(length)), *range(length, width)]


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_equals_torch_s_bidirectional_lstm_on_packed_sequences(features, layers):
    lstm, mask = bilstm(layers), mask_of(LENGTHS)
    packed = pack_padded_sequence(features, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(torch_s_own(lstm, layers)(packed)[0], batch_first=True)
    assert torch.allclose(lstm(features, mask)[mask], expected[mask], atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_output_at_tokens_does_not_depend_on_what_or_how_long_the_padding_is(features, layers):
    lstm, mask = bilstm(layers), mask_of(LENGTHS)
    output = lstm(features, mask)
    assert output.shape == (len(LENGTHS), max(LENGTHS), lstm.out_features)
    noisy = torch.cat([features.masked_fill(~mask.unsqueeze(2), 100.0), torch.randn(len(LENGTHS), 5, 6)], dim=1)
    assert torch.allclose(lstm(noisy, mask_of(LENGTHS, 17))[:, :12][mask], output[mask], atol=1e-6)


@torch.no_grad()
def test_output_does_not_depend_on_the_order_of_the_batch(features):
    lstm, mask = bilstm(2), mask_of(LENGTHS)
    order = torch.tensor([3, 0, 4, 2, 1])
    assert torch.allclose(lstm(features[order], mask[order]), lstm(features, mask)[order], atol=1e-6)


@torch.no_grad()
def test_both_ends_of_a_sentence_are_read_at_every_token(features):
    lstm, mask = bilstm(), mask_of([12] * 5)
    output = lstm(features, mask)
    for changed in (0, 11):
        other = features.clone()
        other[:, changed] += 1
        assert (lstm(other, mask) != output).any(2).all()
