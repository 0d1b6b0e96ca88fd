"""Encoders without pretraining: how far they see, and what training drops."""

import pytest
import torch
from test_encoders import VOCABULARY, random_ids, scattered

from daguan.models.encoders.loading import new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.ngrams import NgramEmbeddings

PLAIN = {"layers": 2, "hidden": 16, "heads": 2, "max_length": 32, "embedding_size": 8}


@pytest.mark.parametrize(("kernel", "ngrams"), [(1, 0), (3, 0), (5, 0), (3, 50)])
@torch.no_grad()
def test_convolutions_read_so_many_places_each_way_and_no_further(kernel, ngrams):
    settings = EncoderSettings(**PLAIN, kernel=kernel, ngram_buckets=ngrams, ngram_size=4)
    encoder = scattered(new_encoder("cnn", settings, VOCABULARY, 0.0))
    reach = settings.layers * (kernel // 2) + (1 if ngrams else 0)
    ids, mask = random_ids(1, 21), torch.ones(1, 21, dtype=torch.bool)
    changed = ids.clone()
    changed[0, 10] = 5 + (changed[0, 10] - 4) % (VOCABULARY - 5)
    differs = (encoder(ids, mask) != encoder(changed, mask)).any(2)[0]
    assert differs.nonzero().flatten().tolist() == list(range(10 - reach, 10 + reach + 1))


@torch.no_grad()
def test_with_lstms_on_top_a_place_reads_the_whole_line():
    encoder = scattered(new_encoder("cnn", EncoderSettings(**PLAIN, lstm_layers=1), VOCABULARY, 0.0))
    ids, mask = random_ids(1, 12), torch.ones(1, 12, dtype=torch.bool)
    changed = ids.clone()
    changed[0, 0] = 5 + (changed[0, 0] - 4) % (VOCABULARY - 5)
    assert (encoder(ids, mask) != encoder(changed, mask)).any(2).all()


def test_ngrams_left_out_in_training_change_no_mean():
    ngrams = NgramEmbeddings(((-1, 0), (0, 1)), 50, 4, dropout=0.75)
    ids = random_ids(1, 5)
    torch.manual_seed(0)
    drawn = ngrams(ids.expand(2000, 5))
    still = ngrams.eval()(ids)
    assert still.shape == (1, 5, 8)
    assert torch.allclose(drawn.mean(0), still, atol=0.3)
    whole = drawn[:1].unflatten(2, (2, 4))  # a feature is left out whole, or is there four times as strong
    kept = (whole != 0).all(3, keepdim=True)
    assert torch.allclose(whole, kept * still.unflatten(2, (2, 4)) * 4)
    assert kept.any()
    assert not kept.all()
