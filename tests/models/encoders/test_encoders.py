"""Laws of every encoder: our way of calling it equals Hugging Face's, padding is not read, every token is."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from daguan.core.errors import CheckpointError, ConfigError, WriteError
from daguan.data.vocabulary import CLS, PAD, SEP
from daguan.models.encoders.loading import Encoder, MaskedLm, load_encoder, new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS, FROM_SCRATCH, PRETRAINED

SMALL = EncoderSettings(
    layers=2, hidden=32, heads=2, feed_forward=64, max_length=32, initial_std=0.2,
    embedding_size=16, groups=2, ngram_buckets=50, ngram_size=8, lstm_layers=1,
)  # fmt: skip
VOCABULARY = 60
LENGTHS = [14, 1, 6]


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path, monkeypatch):
    """Every model that is saved in Hugging Face's layout."""

    def full(*_):
        raise SafetensorError("I/O error: No space left on device")

    lm = MaskedLm("bert", SMALL, VOCABULARY)
    monkeypatch.setattr(type(lm.model), "save_pretrained", full)
    monkeypatch.setattr(type(lm.model.base_model), "save_pretrained", full)
    for number, thing in enumerate((lm, Encoder(lm.model.base_model, 0.0))):
        with pytest.raises(WriteError, match=rf"{number}: expected to write here, got: .*No space left"):
            thing.save(tmp_path / str(number))


def random_ids(*shape: int, vocabulary_size: int = VOCABULARY) -> Tensor:
    return torch.randint(5, vocabulary_size, shape, generator=torch.Generator().manual_seed(0))


def mask_of(lengths: list[int], length: int) -> Tensor:
    return torch.arange(length) < torch.tensor(lengths).unsqueeze(1)


@torch.no_grad()
def scattered(module: nn.Module) -> nn.Module:
    """Weights as after training: nothing is zero or one any more."""
    torch.manual_seed(0)
    for weight in module.parameters():
        weight.add_(0.2 * torch.randn_like(weight))
    return module.eval()


@pytest.fixture(scope="module", params=PRETRAINED)
def masked_lm(request) -> MaskedLm:
    return scattered(MaskedLm(request.param, SMALL, VOCABULARY))


@pytest.fixture(scope="module", params=FROM_SCRATCH)
def encoder(request) -> Encoder:
    return scattered(new_encoder(request.param, SMALL, VOCABULARY, dropout=0.5))


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_a_row_says_the_type_and_the_number_of_layers_of_its_model(name):
    model = ENCODERS[name].load().new(SMALL, VOCABULARY)
    assert model.config.model_type == ENCODERS[name].model_type


def test_a_checkpoint_is_read_without_the_modules_of_other_encoders(tmp_path):
    """In this order each imports its own module alone, beside those it is built on, which are imported already."""
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    order = ["lstm", "cnn", "bert", "auto", "roberta", "albert", "electra", "modern", "transformer_xl", "mass"]
    order += [name for name in ENCODERS if name not in order]
    for name in set(order) - {"auto"}:
        new_encoder(name, SMALL, VOCABULARY, 0.0).save(tmp_path / name)
    DistilBertForMaskedLM(DistilBertConfig(vocab_size=9, dim=8, n_heads=2, n_layers=1)).save_pretrained(
        tmp_path / "auto"
    )
    code = f"""
import sys
from pathlib import Path
from daguan.models.encoders.loading import load_encoder
for name in {order}:
    load_encoder(Path({str(tmp_path)!r}, name), 0.0)
    imported = {{name.rpartition(".")[2] for name in sys.modules if "daguan.models.encoders." in name}}
    print(*sorted(imported & {set(order)}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [" ".join(sorted(order[: number + 1])) for number in range(len(order))]


@torch.no_grad()
def test_logits_at_the_positions_are_those_of_a_full_projection(masked_lm):
    ids = random_ids(3, 32)
    positions = torch.tensor([[1, 5, 31], [0, 1, 2], [7, 8, 20]])
    full = masked_lm.model(ids).logits
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
    theirs = AutoModel.from_pretrained(tmp_path).eval()
    assert theirs(ids).last_hidden_state.equal(masked_lm.model.base_model(ids).last_hidden_state)
    everything = torch.ones_like(ids, dtype=torch.bool)
    ours = load_encoder(tmp_path, dropout=0.1).eval()
    assert ours(ids, everything).equal(Encoder(masked_lm.model.base_model, 0.0)(ids, everything))


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
        alone = encoder.model(framed).last_hidden_state[0, 1:-1]
        assert torch.allclose(output[row, :length], alone, atol=1e-5)


@torch.no_grad()
def test_encoder_output_does_not_depend_on_padding(encoder):
    ids, mask = random_ids(3, 14), mask_of(LENGTHS, 14)
    wider = torch.cat([ids.where(mask, PAD), torch.full((3, 16), PAD)], dim=1)
    output = encoder(ids, mask)  # here the padding is random tokens
    assert torch.allclose(encoder(wider, mask_of(LENGTHS, 30))[:, :14][mask], output[mask], atol=1e-5)


@torch.no_grad()
def test_encoder_output_does_depend_on_every_token(encoder):
    ids, mask = random_ids(1, 14), mask_of([14], 14)
    for place in range(14):
        changed = ids.clone()
        changed[0, place] = 5 + (changed[0, place] - 4) % (VOCABULARY - 5)
        assert (encoder(changed, mask) != encoder(ids, mask)).any(2).all()


def test_dropout_works_in_training_only(encoder):
    ids, mask = random_ids(1, 14), mask_of([14], 14)
    assert not encoder.train()(ids, mask).equal(encoder(ids, mask))
    assert encoder.eval()(ids, mask).equal(encoder(ids, mask))


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
        ("groups", {"layers": 2, "groups": 3}),
        ("embedding_size", {"embedding_size": -1}),
        ("ngram_dropout", {"ngram_dropout": 1.0}),
        ("kernel", {"kernel": 4}),
    ],
)
def test_impossible_sizes_are_refused_by_name(field, values):
    with pytest.raises(ConfigError, match=f"^{field}: expected"):
        EncoderSettings(**values)


def test_the_window_is_what_the_frame_leaves():
    assert EncoderSettings(max_length=128).window == 126


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
    whole = {name: weight for name, weight in weights.items() if ".1." not in name}
    assert len(whole) < len(weights)
    save_file(whole, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_encoder(tmp_path, 0.0)


def test_what_is_no_encoder_is_refused(tmp_path):
    from transformers import BartConfig, GPT2Config

    for config in (GPT2Config(), BartConfig()):  # a decoder; both, with a masked-LM head
        config.save_pretrained(tmp_path)
        with pytest.raises(
            CheckpointError, match=f"type {config.model_type}, which is no encoder with a masked-LM head"
        ):
            load_encoder(tmp_path, 0.0)
