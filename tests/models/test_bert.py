"""BERT: our way of calling it equals Hugging Face's; its n-gram initialisation reads neighbours."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from daguan.core.errors import CheckpointError, ConfigError
from daguan.models.bert import BertEncoder, BertSettings, MaskedLm, choose_attention, load_encoder, new_encoder
from daguan.text.vocabulary import CLS, PAD, SEP

SMALL = BertSettings(layers=2, hidden=32, heads=2, feed_forward=64, max_length=32, initial_std=0.2)
VOCABULARY = 60
LENGTHS = [14, 1, 6]


def random_ids(*shape: int, vocabulary_size: int = VOCABULARY) -> Tensor:
    return torch.randint(5, vocabulary_size, shape, generator=torch.Generator().manual_seed(0))


def mask_of(lengths: list[int], length: int) -> Tensor:
    return torch.arange(length) < torch.tensor(lengths).unsqueeze(1)


@pytest.fixture(scope="module")
def masked_lm() -> MaskedLm:
    torch.manual_seed(0)
    return MaskedLm(SMALL, VOCABULARY).eval()


@pytest.fixture(scope="module")
def encoder() -> BertEncoder:
    torch.manual_seed(0)
    return new_encoder(SMALL, VOCABULARY, dropout=0.5).eval()


@torch.no_grad()
def test_logits_at_the_positions_are_those_of_a_full_projection(masked_lm):
    ids = random_ids(3, 32)
    positions = torch.tensor([[1, 5, 31], [0, 1, 2], [7, 8, 20]])
    full = masked_lm.bert(ids).logits
    expected = torch.stack([full[row, place] for row in range(3) for place in positions[row]])
    assert torch.allclose(masked_lm(ids, positions), expected, atol=1e-5)


def test_pretraining_has_no_dropout(masked_lm):
    masked_lm.train()
    ids, positions = random_ids(2, 16), torch.tensor([[3], [4]])
    assert masked_lm(ids, positions).equal(masked_lm(ids, positions))
    masked_lm.eval()


@torch.no_grad()
def test_a_saved_model_is_read_by_hugging_face_and_by_us(masked_lm, tmp_path):
    from transformers import AutoModel

    masked_lm.save(tmp_path)
    ids = random_ids(2, 14)
    theirs = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    assert theirs(ids).last_hidden_state.equal(masked_lm.bert.bert(ids).last_hidden_state)
    everything = torch.ones_like(ids, dtype=torch.bool)
    ours = load_encoder(tmp_path, dropout=0.1).eval()
    assert ours(ids, everything).equal(BertEncoder(masked_lm.bert.bert, 0.0)(ids, everything))


@torch.no_grad()
def test_an_encoder_comes_back_from_its_folder(encoder, tmp_path):
    encoder.save(tmp_path)
    ids, mask = random_ids(3, 14), mask_of(LENGTHS, 14)
    assert load_encoder(tmp_path, dropout=0.1).eval()(ids, mask).equal(encoder(ids, mask))


@torch.no_grad()
def test_each_line_is_framed_and_the_frame_is_stripped(encoder):
    ids, mask = random_ids(3, 14), mask_of(LENGTHS, 14)
    output = encoder(ids, mask)
    assert output.shape == (3, 14, encoder.out_features)
    for row, length in enumerate(LENGTHS):
        framed = torch.tensor([[CLS, *ids[row, :length].tolist(), SEP]])
        alone = encoder.bert(framed).last_hidden_state[0, 1:-1]
        assert torch.allclose(output[row, :length], alone, atol=1e-5)


@torch.no_grad()
def test_encoder_output_does_not_depend_on_padding(encoder):
    ids, mask = random_ids(3, 14), mask_of(LENGTHS, 14)
    wider = torch.cat([ids.where(mask, PAD), torch.full((3, 16), PAD)], dim=1)
    output = encoder(ids, mask)  # here the padding is random tokens
    assert torch.allclose(encoder(wider, mask_of(LENGTHS, 30))[:, :14][mask], output[mask], atol=1e-5)


@torch.no_grad()
def test_each_kind_of_attention_gives_the_same_output():
    torch.manual_seed(0)
    encoder = new_encoder(SMALL, VOCABULARY, dropout=0.0).eval()
    ids, mask = random_ids(3, 14), mask_of(LENGTHS, 14)
    outputs = []
    for device in ("cpu", "meta"):  # meta stands for a GPU
        choose_attention(encoder.bert, torch.device(device))
        outputs.append(encoder(ids, mask)[mask])
    assert torch.allclose(*outputs, atol=1e-5)
    assert encoder.to_device(torch.device("cpu")).bert.config._attn_implementation == "eager"


@torch.no_grad()
def test_encoder_output_does_depend_on_every_token(encoder):
    ids, mask = random_ids(1, 14), mask_of([14], 14)
    for place in range(14):
        changed = ids.clone()
        changed[0, place] = 5 + (changed[0, place] - 4) % (VOCABULARY - 5)
        assert (encoder(changed, mask) != encoder(ids, mask)).any(2).all()


def test_dropout_works_in_training_only():
    ids, mask = random_ids(1, 14), mask_of([14], 14)
    encoder = new_encoder(SMALL, VOCABULARY, dropout=0.5)
    assert not encoder.train()(ids, mask).equal(encoder(ids, mask))
    assert encoder.eval()(ids, mask).equal(encoder(ids, mask))


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
    settings = BertSettings(layers=1, hidden=hidden, heads=heads, feed_forward=64, max_length=128)
    attention = first_attention(MaskedLm(settings, 1000).bert.bert, random_ids(4, 128, vocabulary_size=1000))
    offsets = [sign * distance for distance in range(1, heads // 2 + 1) for sign in (-1, 1)]
    for head, offset in enumerate(offsets):
        assert mass_at(attention[head], offset, margin=8).min() > 0.5, f"head {head}, offset {offset}"


def test_the_normal_initialisation_reads_everything_alike():
    torch.manual_seed(0)
    settings = BertSettings(layers=1, hidden=256, heads=4, feed_forward=64, initialisation="normal")
    attention = first_attention(MaskedLm(settings, 1000).bert.bert, random_ids(4, 128, vocabulary_size=1000))
    assert attention.max() < 0.1


def test_our_reading_of_the_attention_is_hugging_face_s():
    torch.manual_seed(0)
    bert = MaskedLm(SMALL, VOCABULARY).bert.bert
    bert.set_attn_implementation("eager")
    ids = random_ids(3, 32)
    theirs = bert(ids, output_attentions=True).attentions[0]
    assert torch.allclose(first_attention(bert, ids), theirs.mean(0), atol=1e-5)


def test_the_initialisation_leaves_every_weight_trainable_and_finite():
    model = MaskedLm(SMALL, VOCABULARY)
    model(random_ids(2, 32), torch.tensor([[3], [9]])).square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.isfinite().all(), name
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    assert model.bert.bert.encoder.layer[0].attention.self.query.weight.grad.any()
    assert model.bert.bert.embeddings.position_embeddings.weight.grad.any()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("layers", {"layers": 0}),
        ("heads", {"heads": 0}),
        ("hidden", {"hidden": 30, "heads": 4}),
        ("hidden", {"hidden": 12, "heads": 4}),  # a multiple, but an odd one
        ("max_length", {"max_length": 100}),
        ("max_length", {"max_length": 0}),
        ("initialisation", {"initialisation": "xavier"}),
        ("initial_std", {"initial_std": 0.0}),
    ],
)
def test_impossible_sizes_are_refused_by_name(field, values):
    with pytest.raises(ConfigError, match=f"^{field}: expected"):
        BertSettings(**values)


def test_the_window_is_what_the_frame_leaves():
    assert BertSettings(max_length=128).window == 126


def test_a_missing_checkpoint_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_encoder(tmp_path, 0.0)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_checkpoint_cut_short_is_refused(encoder, tmp_path, name):
    encoder.save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_encoder(tmp_path, 0.0)


def test_a_checkpoint_without_its_weights_is_refused(encoder, tmp_path):
    encoder.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_encoder(tmp_path, 0.0)


def test_a_checkpoint_that_lacks_a_layer_is_refused_and_not_made_up(encoder, tmp_path):
    from safetensors.torch import load_file, save_file

    encoder.save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    whole = {name: weight for name, weight in weights.items() if "layer.1." not in name}
    assert len(whole) < len(weights)
    save_file(whole, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_encoder(tmp_path, 0.0)
