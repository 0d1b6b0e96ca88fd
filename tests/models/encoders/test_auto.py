"""Encoders that only a checkpoint describes obey the laws of all others, whatever their type."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_encoders import mask_of, scattered
from tests.models.encoders.test_public_checkpoint import ROBERTA_SPECIALS, write_tokenizer
from torch import Tensor, nn

from daguan.core.errors import CheckpointError
from daguan.data.batches.collate import Batch, collate
from daguan.data.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK
from daguan.models.encoders.auto import AUTO
from daguan.models.encoders.loading import MaskedLm, load_encoder
from daguan.models.encoders.public_checkpoint import load_public_checkpoint
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import TrainedTagger
from tiny_taggers import SCHEME, SENTENCES, VOCABULARY, examples

LENGTH = 32
WORDS = [f"word{number}" for number in range(len(VOCABULARY) - len(SPECIALS))]
BERT = {"vocab_size": len(VOCABULARY) + 1, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT |= {"intermediate_size": 48, "max_position_embeddings": LENGTH, "pad_token_id": 0}
ROBERTA = BERT | {"max_position_embeddings": LENGTH + 2, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
DEBERTA = BERT | {
    "relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"], "share_att_key": True,
    "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip  # as DeBERTa-v3's
SIZES: dict[str, dict[str, Any]] = {
    "distilbert": BERT,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "deberta-v2": DEBERTA,
    "deberta-v2 as in its paper": DEBERTA | {"legacy": False, "position_biased_input": True, "conv_kernel_size": 3},
    "electra": BERT | {"embedding_size": 12},
    "ernie": BERT | {"use_task_id": True},
    "mpnet": ROBERTA,
    "roformer": BERT | {"embedding_size": 32},
    "modernbert": BERT | {"local_attention": 8, "global_attn_every_n_layers": 2},
    "bert": BERT,
}  # fmt: skip
ENGINE = EngineSettings(device="cpu", precision="float32", threads=1)
MODEL = ModelSettings(encoder="auto", head="crf")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def settings_of(folder: Path, length: int = LENGTH) -> EncoderSettings:
    return EncoderSettings(checkpoint=str(folder), counts=str(folder / "counts.txt"), max_length=length)


def checkpoint(folder: Path, kind: str) -> Any:
    """A model as from elsewhere, with dropout, and its vocabulary in `folder`."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.for_model(kind.partition(" ")[0], **SIZES[kind])
    torch.manual_seed(0)
    model = scattered(AutoModelForMaskedLM.from_config(config))
    model.save_pretrained(folder)
    if config.pad_token_id == 1:
        write_tokenizer(folder, [*ROBERTA_SPECIALS, "more", *WORDS, "<mask>"])
    else:
        (folder / "vocab.txt").write_text("\n".join([*SPECIALS, "more", *WORDS]) + "\n", "utf-8")
    counts = "".join(f"{word} {number}\n" for number, word in enumerate(WORDS))
    (folder / "counts.txt").write_text(counts, "utf-8")  # the last is the most frequent
    return model


def rows_of(kind: str) -> Tensor:
    """Returns the checkpoint's row of each of our entries: in reverse order, as the counts say."""
    roberta = SIZES[kind] is ROBERTA
    specials = [1, 3, 0, 2, len(VOCABULARY)] if roberta else range(len(SPECIALS))
    first = len(ROBERTA_SPECIALS if roberta else SPECIALS) + 1
    return torch.tensor([*specials, *reversed(range(first, first + len(WORDS)))])


@pytest.fixture(scope="module", params=SIZES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def theirs(kind: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("theirs")
    return checkpoint(folder, kind), folder


@pytest.fixture(scope="module")
def ours(theirs: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """What was adopted, and where it was saved."""
    folder = tmp_path_factory.mktemp("ours")
    model = load_public_checkpoint("auto", settings_of(theirs[1]), VOCABULARY).eval()
    model.save_pretrained(folder)
    return model, folder


def text(*shape: int) -> Tensor:
    """Ids without padding; [UNK] is among them, [CLS] and [SEP] stand inside too."""
    ids = torch.randint(SEP, len(VOCABULARY), shape, generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, 3], ids[:, 4], ids[:, 5], ids[:, -1] = CLS, UNK, MASK, CLS, SEP
    return ids


def tagger(folder: Path, dropout: float = 0.0) -> Tagger:
    torch.manual_seed(0)
    return Tagger(load_encoder(folder, dropout), SCHEME, MODEL)


@torch.no_grad()
def test_our_tokens_are_read_and_predicted_as_those_of_their_rank(kind: str, theirs: Any, ours: Any) -> None:
    """In a line as long as there are positions."""
    rows, ids = rows_of(kind), text(2, LENGTH)
    assert torch.allclose(ours[0](ids).logits, theirs[0](rows[ids]).logits[:, :, rows], atol=1e-4)
    specials = {"pad": PAD, "bos": CLS, "cls": CLS, "eos": SEP, "sep": SEP, "mask": MASK}
    assert all(getattr(ours[0].config, f"{name}_token_id", special) == special for name, special in specials.items())


def masked_lm(folder: Path) -> MaskedLm:
    return MaskedLm("auto", EncoderSettings(checkpoint=str(folder), max_length=LENGTH), len(VOCABULARY))


@torch.no_grad()
def test_logits_at_the_chosen_places_are_those_of_the_whole_model(ours: Any) -> None:
    ids, positions = text(3, LENGTH), torch.tensor([[1, 5, 31], [0, 1, 2], [7, 8, 20]])
    model = masked_lm(ours[1])
    full = ours[0](ids).logits
    expected = torch.stack([full[row, place] for row in range(3) for place in positions[row]])
    assert torch.allclose(model(ids, positions), expected, atol=1e-5)
    assert torch.allclose(model.model(ids).logits, full, atol=1e-5)  # afterwards it is as it was


def test_pretraining_has_no_dropout_and_teaches_every_weight(ours: Any) -> None:
    model = masked_lm(ours[1]).train()
    ids, positions = text(2, LENGTH), torch.arange(LENGTH).expand(2, -1)
    logits = model(ids, positions)
    assert logits.equal(model(ids, positions))
    logits.square().sum().backward()
    for name, weight in model.named_parameters():
        if "embed_positions" not in name:  # RoFormer's, which are sines and stay
            assert weight.grad is not None, name
            assert weight.grad.any(), name


@torch.no_grad()
def test_what_was_pretrained_further_comes_back(ours: Any, tmp_path: Path) -> None:
    model = scattered(masked_lm(ours[1]))
    model.save(tmp_path)
    ids, mask = text(2, LENGTH), torch.ones(2, LENGTH, dtype=torch.bool)
    assert masked_lm(tmp_path).eval()(ids, mask[:, :1].long()).equal(model(ids, mask[:, :1].long()))
    states = load_encoder(tmp_path, 0.1).eval()(ids[:, 1:-1], mask[:, 1:-1])
    assert torch.allclose(states, model.read(ids)[:, 1:-1], atol=1e-5)


@torch.no_grad()
def test_a_tagger_does_not_read_padding(ours: Any) -> None:
    model = tagger(ours[1]).eval()
    narrow = collate(examples(), 4)
    columns = LENGTH - 2 - narrow.token_ids.shape[1]
    ids = narrow.token_ids.clone()
    ids[0, 2] = UNK
    wide = nn.functional.pad(ids, (0, columns), value=PAD)
    one, other = (model.marginals(Batch(given, narrow.lengths, None)) for given in (ids, wide))
    assert torch.allclose(one, other[:, : ids.shape[1]], atol=1e-5)


@torch.no_grad()
def test_an_encoder_reads_every_token(ours: Any) -> None:
    encoder, ids, mask = load_encoder(ours[1], 0.0).eval(), text(1, 14), mask_of([14], 14)
    for place in range(14):
        changed = ids.clone()
        changed[0, place] = len(VOCABULARY) - 1 if ids[0, place] != len(VOCABULARY) - 1 else UNK
        assert (encoder(changed, mask) != encoder(ids, mask)).any()


def test_a_saved_tagger_answers_as_before(ours: Any, tmp_path: Path) -> None:
    model = tagger(ours[1])
    trained = TrainedTagger(scattered(model), SCHEME, VOCABULARY, MODEL, window=12, overlap=4)
    trained.save(tmp_path)
    again = TrainedTagger.load(tmp_path, ENGINE)
    for one, other in zip(trained.marginals(SENTENCES, ENGINE), again.marginals(SENTENCES, ENGINE), strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_dropout_works_in_training_only_and_wherever_there_is_some(kind: str, ours: Any) -> None:
    ids, mask = text(1, 14), mask_of([14], 14)
    encoder = load_encoder(ours[1], 0.5).train()
    assert not encoder(ids, mask).equal(encoder(ids, mask))
    assert encoder.eval()(ids, mask).equal(encoder(ids, mask))
    still = load_encoder(ours[1], 0.0).train()
    assert still(ids, mask).equal(still(ids, mask))
    rates = {module.p for module in encoder.modules() if hasattr(module, "p")}
    rates |= {module.attention_dropout for module in encoder.modules() if hasattr(module, "attention_dropout")}
    assert kind in ("bert", "electra") or rates == {0.5}  # those leave attention alone


def test_positions_are_counted_without_those_that_no_token_reads(theirs: Any) -> None:
    with pytest.raises(CheckpointError, match=rf"expected at least encoder\.max_length=48 positions, got {LENGTH}"):
        load_public_checkpoint("auto", settings_of(theirs[1], 48), VOCABULARY)


@pytest.mark.parametrize(
    ("held", "size", "asked", "message"),
    [
        (
            "distilbert",
            BERT,
            "bert",
            "of type bert as model.encoder says, got distilbert, which is for model.encoder=auto",
        ),
        ("mass", {}, "auto", "of type auto as model.encoder says, got daguan-mass, which is for model.encoder=mass"),
        ("fnet", BERT, "auto", "expected a type whose encoder ignores padding, got fnet"),
        ("longformer", ROBERTA, "auto", "expected a type that is built and read as BERT, got longformer: "),
    ],
)
def test_what_cannot_be_adopted_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str, size: dict[str, Any], asked: str, message: str
) -> None:
    if held == "mass":
        MaskedLm("mass", EncoderSettings().replace(layers=1, hidden=16, heads=2), 9).save(tmp_path)
    else:
        monkeypatch.setitem(SIZES, held, size)
        checkpoint(tmp_path, held)
    with pytest.raises(CheckpointError, match=message):
        load_public_checkpoint(asked, settings_of(tmp_path), VOCABULARY)


def test_a_type_whose_head_reads_other_places_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(tmp_path, "distilbert")
    auto = ENCODERS["auto"].load()
    shifted = replace(auto, project=lambda model, hidden: auto.project(model, hidden.roll(1, 0)))
    monkeypatch.setattr("daguan.models.encoders.auto.AUTO", shifted)
    with pytest.raises(CheckpointError, match="expected a type whose head reads one place, got distilbert"):
        load_public_checkpoint("auto", settings_of(tmp_path), VOCABULARY)


def test_the_layers_of_any_type_are_found_and_those_modules_that_run_above_them(ours: Any) -> None:
    encoder = load_encoder(ours[1], 0.1)
    depth = encoder.depth
    assert encoder.training
    names = {parameter: name for name, parameter in encoder.model.named_parameters()}
    numbers = {names[parameter]: number for parameter, number in depth.numbers().items()}
    assert numbers.keys() == {name for name in names.values() if re.search(r"\blayers?\.\d|final_norm", name)}
    for name, number in numbers.items():
        assert number == (2 if "final_norm" in name else int(re.search(r"\d", name)[0])), name  # type: ignore[index]
    below = [name for name in names.values() if name not in numbers]
    assert any("embeddings" in name for name in below)


def test_the_norm_above_the_layers_is_found_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "roberta-prelayernorm", ROBERTA)
    checkpoint(tmp_path, "roberta-prelayernorm")
    encoder = load_encoder(tmp_path, 0.0)
    assert encoder.depth.above == [encoder.model.LayerNorm]


def test_lists_of_the_parts_of_layers_make_layers(tmp_path: Path) -> None:
    """XLM has a list of attentions, one of feed-forward parts and two of norms."""
    from transformers import XLMConfig, XLMModel

    model = XLMModel(XLMConfig(vocab_size=9, emb_dim=8, n_layers=2, n_heads=2, max_position_embeddings=16))
    depth = AUTO.depth(model)
    parts = (model.attentions, model.layer_norm1, model.ffns, model.layer_norm2)
    assert {*depth.layers[1]} == {part[1] for part in parts}
    assert len(depth.layers) == 2
