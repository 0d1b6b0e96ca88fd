"""A public checkpoint made ours reads our tokens as it read those of the same rank or spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_encoders import scattered

from daguan.core.errors import CheckpointError, DataError
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.models.encoders.loading import MaskedLm, load_encoder
from daguan.models.encoders.public_checkpoint import NONE, PublicVocabulary, load_public_checkpoint
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import PRETRAINED

PUBLIC = ["[PAD]", "[unused1]", "[unused2]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "of", "and", "to", "in"]
SPECIAL_ROWS = [0, 3, 4, 5, 6]
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]  # and <mask> at the end
COUNTS = "of 90\nthe\t100\nunheard 95\nin 3\nand 50\n"  # by rank, without what the checkpoint has not: the of and in
ROWS = [*SPECIAL_ROWS, 7, 8, 9, 11, 1, 2]  # for six tokens of ours: the last two take unused entries
OURS = Vocabulary([*SPECIALS, "31", "41", "59", "26", "53", "58"])
SIZE = EncoderSettings(
    layers=2, hidden=16, heads=2, feed_forward=32, max_length=16, embedding_size=8, groups=2, initial_std=0.3
)


def checkpoint(folder: Path, architecture: str, **size: int) -> Any:
    model = scattered(MaskedLm(architecture, SIZE.replace(**size), len(PUBLIC)))
    model.save(folder)
    (folder / "vocab.txt").write_text("\n".join(PUBLIC) + "\n", "utf-8")
    (folder / "counts.txt").write_text(COUNTS, "utf-8")
    return model.model


def start(folder: Path, **more: Any) -> EncoderSettings:
    return SIZE.replace(checkpoint=str(folder), counts=str(folder / "counts.txt"), **more)


def write_tokenizer(folder: Path, tokens: list[str]) -> None:
    """tokenizer.json and what stands beside it, with RoBERTa's special tokens."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    rows = {token: row for row, token in enumerate(tokens)}
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(rows, unk_token="<unk>")), pad_token="<pad>", cls_token="<s>",
        sep_token="</s>", unk_token="<unk>", mask_token="<mask>",
    ).save_pretrained(folder)  # fmt: skip


@pytest.mark.parametrize("architecture", PRETRAINED)
@torch.no_grad()
def test_our_tokens_are_read_and_predicted_as_those_of_their_rank(tmp_path, architecture) -> None:
    theirs = checkpoint(tmp_path, architecture)
    ours = load_public_checkpoint(architecture, start(tmp_path), OURS).eval()
    ids = torch.tensor([[2, 5, 6, 7, 4, 8, 9, 10, 1, 3]])
    rows = torch.tensor(ROWS)
    assert torch.allclose(ours(ids).logits, theirs(rows[ids]).logits[:, :, rows], atol=1e-5)


@torch.no_grad()
def test_a_roberta_with_another_padding_token_keeps_its_positions(tmp_path) -> None:
    """As the released ones have it: <s> 0, <pad> 1, </s> 2; the vocabulary in tokenizer.json."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    write_tokenizer(tmp_path, tokens := [*ROBERTA_SPECIALS, "the", "of", "<mask>"])
    config = RobertaConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16 + 2, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    theirs = scattered(RobertaForMaskedLM(config))
    theirs.save_pretrained(tmp_path)
    (tmp_path / "counts.txt").write_text("the 9\nof 8\n", "utf-8")
    ours = load_public_checkpoint("roberta", start(tmp_path), Vocabulary([*SPECIALS, "7", "8"])).eval()
    taken = torch.tensor([1, 3, 0, 2, 6, 4, 5])
    ids = torch.tensor([[2, 5, 6, 4, 6, 1, 3, *[5] * 9]])  # as long as there are positions
    assert torch.allclose(ours(ids).logits, theirs(taken[ids]).logits[:, :, taken], atol=1e-5)


def test_a_tokenizer_knows_its_special_tokens_better_than_a_list_of_tokens(tmp_path) -> None:
    """MPNet's has BERT's beside its own; and its rows come in order."""
    tokens = [*ROBERTA_SPECIALS, *PUBLIC, *(f"[unused{number}]" for number in range(50, 3, -1)), "<mask>"]
    write_tokenizer(tmp_path, tokens)
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
    public = PublicVocabulary.read(tmp_path)
    assert public.specials == (1, 3, 0, 2, len(tokens) - 1)
    assert list(public.rows) == tokens


@pytest.mark.parametrize("count", [0, 3, 6, 40])
def test_ranks_are_matched_one_to_one(count) -> None:
    """A bijection on the ranks that both sides have."""
    rows = {token: row for row, token in enumerate(PUBLIC)}
    public = PublicVocabulary(rows, tuple(SPECIAL_ROWS))
    found = public.rows_by_rank(count, ["the", "[MASK]", "of", "unheard", "and", "[unused2]", "in"])
    ranked = [rows[token] for token in ("the", "of", "and", "[unused2]", "in", "[unused1]")]
    assert found.tolist() == [*ranked, *[NONE] * 40][:count]
    taken = found[found != NONE]
    assert len(set(taken.tolist())) == len(taken)
    assert not set(taken.tolist()) & set(SPECIAL_ROWS)


@torch.no_grad()
def test_tokens_beyond_the_last_rank_start_at_random_and_all_else_is_as_it_was(tmp_path) -> None:
    theirs = checkpoint(tmp_path, "bert")
    many = Vocabulary([*SPECIALS, *map(str, range(300))])
    torch.manual_seed(0)
    ours = load_public_checkpoint("bert", start(tmp_path), many)
    table = ours.bert.embeddings.word_embeddings.weight
    assert table[: len(ROWS)].equal(theirs.bert.embeddings.word_embeddings.weight[ROWS])
    assert table[len(ROWS) :].std().item() == pytest.approx(SIZE.initial_std, rel=0.05)
    given = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        if weight.shape[0] != len(many):
            assert weight.equal(given[name]), name


@pytest.mark.parametrize("architecture", PRETRAINED)
@torch.no_grad()
def test_a_checkpoint_of_ours_is_known_by_the_spelling_of_its_tokens(tmp_path, architecture) -> None:
    theirs = scattered(MaskedLm(architecture, SIZE, len(OURS)))
    theirs.save(tmp_path)
    OURS.save(tmp_path)
    other = Vocabulary([*SPECIALS, "58", "new", "31"])
    ours = load_public_checkpoint(architecture, SIZE.replace(checkpoint=str(tmp_path)), other).eval()
    ids, same = torch.tensor([[2, 5, 7, 4, 3]]), torch.tensor([[2, 10, 5, 4, 3]])
    hidden, expected = (
        model.base_model(given).last_hidden_state for model, given in ((ours, ids), (theirs.model, same))
    )
    assert torch.allclose(hidden, expected, atol=1e-5)


def test_what_was_adopted_is_pretrained_further_or_used_at_once(tmp_path) -> None:
    checkpoint(tmp_path / "public", "bert")
    torch.manual_seed(0)
    ours = load_public_checkpoint("bert", start(tmp_path / "public"), OURS)
    ours.save_pretrained(tmp_path / "ours")
    further = MaskedLm("bert", SIZE.replace(checkpoint=str(tmp_path / "ours")), len(OURS))
    for name, weight in ours.named_parameters():
        assert weight.equal(further.model.get_parameter(name)), name
    ids, positions = torch.tensor([[2, 5, 6, 3]]), torch.tensor([[1]])
    assert further.train()(ids, positions).equal(further(ids, positions))  # no dropout in pretraining
    assert load_encoder(tmp_path / "ours", 0.1).out_features == SIZE.hidden
    with pytest.raises(CheckpointError, match="expected 12 entries, got 11"):
        MaskedLm("bert", SIZE.replace(checkpoint=str(tmp_path / "ours")), 12)


def test_a_bare_encoder_gets_a_new_head(tmp_path) -> None:
    theirs = checkpoint(tmp_path, "bert")
    theirs.bert.save_pretrained(tmp_path)
    ours = load_public_checkpoint("bert", start(tmp_path), OURS)
    assert ours.bert.encoder.layer[1].output.dense.weight.equal(theirs.bert.encoder.layer[1].output.dense.weight)
    assert ours.cls.predictions.transform.dense.weight.isfinite().all()


@pytest.mark.parametrize(
    ("architecture", "settings", "message"),
    [
        ("bert", {"checkpoint": "/nowhere"}, "/nowhere: expected a Hugging Face checkpoint"),
        ("modern", {}, "of type daguan-modern as model.encoder says, got bert, which is for model.encoder=bert"),
        ("bert", {"max_length": 32}, "expected at least encoder.max_length=32 positions, got 16"),
        ("bert", {"counts": ""}, "where encoder.counts is not given, got 0 %"),
    ],
)
def test_what_cannot_be_adopted_is_said(tmp_path, architecture, settings, message) -> None:
    checkpoint(tmp_path, "bert")
    with pytest.raises(CheckpointError, match=message):
        load_public_checkpoint(architecture, start(tmp_path).replace(**settings), OURS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.bias"])
def test_weights_that_are_no_numbers_are_named_with_their_folder(tmp_path, value, name) -> None:
    made = scattered(MaskedLm("bert", SIZE, len(PUBLIC)))
    with torch.no_grad():
        made.model.get_parameter(f"bert.{name}").view(-1)[3] = value
    made.save(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(PUBLIC) + "\n", "utf-8")
    with pytest.raises(CheckpointError, match=rf"{tmp_path}.*nan or infinite weights in bert\.{name}"):
        load_public_checkpoint("bert", SIZE.replace(checkpoint=str(tmp_path)), OURS)


def test_a_checkpoint_without_a_vocabulary_is_refused(tmp_path) -> None:
    checkpoint(tmp_path, "bert")
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match=r"expected vocab\.txt or tokenizer\.json"):
        load_public_checkpoint("bert", start(tmp_path), OURS)


def test_a_vocabulary_longer_than_the_table_is_refused(tmp_path) -> None:
    checkpoint(tmp_path, "bert")
    (tmp_path / "vocab.txt").write_text("\n".join(["more", *PUBLIC]), "utf-8")
    with pytest.raises(CheckpointError, match="expected tokens below 12"):
        load_public_checkpoint("bert", start(tmp_path), OURS)


def test_a_malformed_count_table_is_named(tmp_path) -> None:
    checkpoint(tmp_path, "bert")
    (tmp_path / "counts.txt").write_text("the 9\nof\n", "utf-8")
    with pytest.raises(DataError, match=r"counts\.txt:2"):
        load_public_checkpoint("bert", start(tmp_path), OURS)


def test_a_count_table_of_other_tokens_is_refused(tmp_path) -> None:
    checkpoint(tmp_path, "bert")
    (tmp_path / "counts.txt").write_text("le 9\nla 8\nthe 7\n", "utf-8")
    with pytest.raises(CheckpointError, match=r"with the tokens of encoder\.counts, got 33 % of them"):
        load_public_checkpoint("bert", start(tmp_path), OURS)


def test_a_damaged_vocabulary_is_a_checkpoint_error(tmp_path) -> None:
    checkpoint(tmp_path, "bert")
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="expected a readable vocabulary, got: 'utf-8'"):
        load_public_checkpoint("bert", start(tmp_path), OURS)
