"""The table of Transformer-XL: the stretch of text that is held out, and the reading of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import data
from benchmarks import transformer_xl as table
from daguan.data.batches.packing import token_file, write_token_file
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings


def test_the_stretch_and_the_rest_are_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "WORK", tmp_path)
    vocabulary, ids = Vocabulary([*SPECIALS, *map(str, range(50))]), np.arange(1000, dtype=np.uint32) % 55
    vocabulary.save(tmp_path)
    write_token_file(token_file(tmp_path, len(vocabulary)), [ids])
    rest, stretch = table.text_without_a_stretch(data.Text("contest", str(tmp_path)), 100)
    assert len(stretch) == 100
    left = np.fromfile(rest.tokens, dtype="<u2")
    assert np.array_equal(np.concatenate([left[:250], stretch.numpy(), left[250:]]), ids)


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(tmp_path: Path) -> None:
    lm = MaskedLm("transformer_xl", EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=32, max_length=16), 40)
    with torch.no_grad():
        lm.model.base_model.embeddings.weight[:] = 1.0  # every token alike
    lm.save(tmp_path)
    for length in (0, 32):
        assert math.isclose(table.perplexity(tmp_path, torch.arange(800) % 40, length, 32), 40, rel_tol=1e-4)
