"""What the decoder of MASS sees and does not see, and where it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from daguan.core.errors import CheckpointError
from daguan.data.batches.fragments import Fragments, cut_fragments
from daguan.data.batches.masking import MaskingSettings
from daguan.data.vocabulary import CLS, MASK, SPECIALS
from daguan.models.decoder import Cache, Decoder
from daguan.models.encoders.loading import MaskedLm, load_encoder
from daguan.models.encoders.mass import MassForConditionalGeneration
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.pretraining_heads import FragmentLm
from daguan.nn.beams import Beams
from daguan.nn.muon import hidden_matrices

SIZE = EncoderSettings(layers=2, hidden=32, heads=2, feed_forward=64, max_length=16)
LENGTH, V = 16, 40
ALL_MASKED = MaskingSettings(keep=0.0, random=0.0)


def model_of(size: EncoderSettings = SIZE) -> FragmentLm:
    """With weights as after training: nothing is zero or one any more."""
    torch.manual_seed(0)
    model = FragmentLm(MaskedLm("mass", size, V)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model


@pytest.fixture(scope="module")
def model() -> FragmentLm:
    return model_of()


def text(rows: int = 3) -> np.ndarray:
    ids = np.random.default_rng(0).integers(len(SPECIALS), V, (rows, LENGTH))
    ids[:, 0] = CLS
    return ids


def cut(ids: np.ndarray, share: float, masking: MaskingSettings = ALL_MASKED, seed: int = 1) -> Fragments:
    return cut_fragments(ids, share, V, masking, np.random.default_rng(seed))


@torch.no_grad()
def logits_of(model: FragmentLm, part: Fragments) -> Tensor:
    """(B,M,V)."""
    tensors = (torch.from_numpy(array) for array in (part.inputs, part.fed, part.positions))
    return model(*tensors).view(*part.positions.shape, V)


def visible(model: FragmentLm, ids: np.ndarray, share: float, masking: MaskingSettings, seed: int) -> np.ndarray:
    """(T,M): does another token at the place change what the step says? By trying, with the same draws."""
    before = logits_of(model, cut(ids, share, masking, seed))
    found = np.zeros((LENGTH, before.shape[1]), dtype=bool)
    for place in range(1, LENGTH):
        other = ids.copy()
        other[:, place] = len(SPECIALS) + (ids[:, place] - len(SPECIALS) + 1) % (V - len(SPECIALS))
        found[place] = (logits_of(model, cut(other, share, masking, seed)) != before).any(2).any(0)
    return found


@torch.no_grad()
def test_a_fragment_of_one_is_a_masked_language_model_of_one_place(model: FragmentLm) -> None:
    """Its loss is the cross-entropy there of the encoder and one step of the decoder, row by row and step by step."""
    part = cut(text(), 0.01)
    assert part.positions.shape == (3, 1)
    logs = log_softmax(logits_of(model, part), 2)
    whole = model.lm.model
    for row in range(3):
        place, label = int(part.positions[row, 0]), int(part.labels[row, 0])
        inputs = torch.from_numpy(part.inputs[row : row + 1])
        assert (inputs == MASK).nonzero().tolist() == [[0, place]]
        states = model.lm.read(inputs)
        memories = whole.decoder.remember(states, (inputs == MASK)[:, None, None])
        beams = Beams(1, 1, 1, states.device)
        before = torch.tensor([[place - 1]])
        fed = whole.modern.embed(torch.from_numpy(part.fed[row : row + 1]))
        hidden = whole.decoder.run(fed, before, memories, [Cache(beams) for _ in memories])
        expected = torch.nn.functional.cross_entropy(whole.predict(hidden[0]), torch.tensor([label]))
        assert -logs[row, 0, label].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_fragment_of_all_that_is_masked_is_a_causal_language_model(model: FragmentLm) -> None:
    ids = text(1)
    part = cut(ids, 1.0)
    assert (part.inputs[:, 1:] == MASK).all()  # so the encoder's output does not depend on the text
    seen = visible(model, ids, 1.0, ALL_MASKED, seed=1)
    for step in range(LENGTH - 1):  # predicts place step + 1
        assert seen[:, step].nonzero()[0].tolist() == list(range(1, step + 1))


@pytest.mark.parametrize("seed", range(4))
def test_a_step_sees_the_text_around_the_fragment_and_the_fragment_before_it(model: FragmentLm, seed: int) -> None:
    ids = text(1)
    positions = cut(ids, 0.4, seed=seed).positions[0]
    around = set(range(1, LENGTH)) - set(positions.tolist())
    seen = visible(model, ids, 0.4, ALL_MASKED, seed)
    for step, place in enumerate(positions):
        assert set(seen[:, step].nonzero()[0].tolist()) == around | set(range(positions[0], place))


def test_a_token_of_the_fragment_that_is_kept_is_seen_by_all_steps(model: FragmentLm) -> None:
    half_kept = MaskingSettings(keep=0.5, random=0.0)
    ids = text(1)
    part = cut(ids, 0.6, half_kept)
    kept = part.positions[0][part.inputs[0, part.positions[0]] != MASK]
    assert 0 < len(kept) < part.positions.shape[1]
    seen = visible(model, ids, 0.6, half_kept, seed=1)
    assert seen[kept].all()
    first, last = part.positions[0][0], part.positions[0][-1]
    hidden = [place for place in range(first, last + 1) if place not in kept]
    assert not any(seen[place, : place - first + 1].any() for place in hidden)


def test_muon_moves_the_matrices_of_both(model: FragmentLm) -> None:
    assert len(hidden_matrices(*model.encoders)) == 2 * 4 + 2 * 7


@torch.no_grad()
def test_the_whole_of_it_comes_back_and_the_encoder_alone_by_auto_model(model: FragmentLm, tmp_path: Path) -> None:
    model.save(tmp_path)
    whole, part = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval(), cut(text(), 0.5)
    assert isinstance(whole, MassForConditionalGeneration)
    arrays = (part.inputs, part.fed, part.positions - 1)
    assert whole(*map(torch.from_numpy, arrays)).logits.equal(logits_of(model, part))
    ids = torch.from_numpy(part.inputs)
    states = model.lm.read(ids)
    assert AutoModel.from_pretrained(tmp_path).eval()(ids).last_hidden_state.equal(states)
    assert load_encoder(tmp_path, 0.0).model.eval()(ids).last_hidden_state.equal(states)
    expected = model.lm.model.predict(states)
    assert AutoModelForMaskedLM.from_pretrained(tmp_path).eval()(ids).logits.equal(expected)


def test_a_checkpoint_is_pretrained_further_with_its_decoder_or_gets_one(model: FragmentLm, tmp_path: Path) -> None:
    model.save(tmp_path / "mass")
    further = FragmentLm(MaskedLm("mass", EncoderSettings(checkpoint=str(tmp_path / "mass")), V)).state_dict()
    assert all(further.pop(name).equal(weight) for name, weight in model.state_dict().items())
    assert not further
    alone = MaskedLm("mass", SIZE, V)
    alone.save(tmp_path / "mlm")
    begun = FragmentLm(MaskedLm("mass", EncoderSettings(checkpoint=str(tmp_path / "mlm")), V)).lm.model
    assert all(begun.get_parameter(name).equal(weight) for name, weight in alone.model.named_parameters())
    assert not any(layer.past.output.weight.any() for layer in begun.decoder.layers)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_decoder_starts_from_the_layers_of_a_checkpoint_that_it_has(
    model: FragmentLm, tmp_path: Path, layers: int
) -> None:
    model.save(tmp_path)
    decoder = Decoder(32, layers)
    decoder.load_pretrained(tmp_path)
    theirs = model.lm.model.decoder.state_dict()
    for name, weight in decoder.state_dict().items():
        if name in theirs:
            assert weight.equal(theirs[name]), name
        else:
            assert name.startswith("layers.2.")
    assert layers < 3 or not decoder.layers[2].past.output.weight.any()


def test_a_checkpoint_without_a_decoder_gives_none_and_one_of_another_width_is_refused(tmp_path: Path) -> None:
    MaskedLm("mass", SIZE, V).save(tmp_path / "mlm")
    torch.manual_seed(0)
    fresh = Decoder(48, 1)
    before = {name: weight.clone() for name, weight in fresh.state_dict().items()}
    for folder in (tmp_path / "mlm", tmp_path / "nowhere"):
        fresh.load_pretrained(folder)
    assert all(weight.equal(before[name]) for name, weight in fresh.state_dict().items())
    model_of().save(tmp_path / "mass")
    with pytest.raises(CheckpointError, match="expected a decoder of width 48"):
        fresh.load_pretrained(tmp_path / "mass")
    path = tmp_path / "mass" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: expected whole weights"):
        fresh.load_pretrained(tmp_path / "mass")


@torch.no_grad()
def test_distances_beyond_the_farthest_share_its_bias() -> None:
    bias = Decoder(32, 1).layers[0].cross.bias
    bias.weight.normal_()
    whole = bias(300)
    assert whole[:, 0, 127].equal(bias.weight[:, -1])
    assert whole[:, 0, 299].equal(bias.weight[:, -1])
    assert whole[:, 299, 0].equal(bias.weight[:, 0])
    assert whole[:, :128, :128].equal(bias(128))
    assert bias.between(-2, 1).equal(whole[:, 2, :4])
