"""Tiny public encoders with tokenizers of their own, as Hugging Face publishes them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from daguan.data.format import read_labelled
from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings

PUBLIC = ["the", "of", "and"]
WORDS = ["heart", "fail", "##ure", "of", "mice", "##mice", "a", "##or", "##ta", "-", "b"]
LONG = "a" + 40 * "or"  # 41 pieces, for wordpieces have at most 100 characters
BERTS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTAS = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
DISTILBERT = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
TYPES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("wordpiece", SIZE),
    "electra": ("wordpiece", SIZE | {"embedding_size": 8}),
    "distilbert": ("wordpiece", DISTILBERT),
    "roberta": ("bytes", SIZE | {"max_position_embeddings": 40}),
    "modernbert": ("bytes", SIZE | {"global_attn_every_n_layers": 1}),
    "albert": ("unigram", SIZE | {"embedding_size": 8}),
    "deberta-v2": ("unigram", SIZE | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
}


def bert_of_words(folder: Path) -> Path:
    """A checkpoint of a tiny BERT whose vocabulary is a few words, in folder/public, and their counts in counts.txt."""
    made = folder / "public"
    torch.manual_seed(0)
    size = EncoderSettings(layers=1, hidden=16, heads=2, feed_forward=16, max_length=32)
    MaskedLm("bert", size, len(SPECIALS) + len(PUBLIC)).save(made)
    (made / "vocab.txt").write_text("\n".join([*SPECIALS, *PUBLIC]) + "\n", "utf-8")
    (folder / "counts.txt").write_text("of 9\nthe 8\nand 7\n", "utf-8")
    return made


def spelt_contest(contest: Path, folder: Path) -> Path:
    """A copy of a contest whose tokens have words beside them, one of which has more pieces than a tiny window."""
    made = shutil.copytree(contest, folder)
    tokens = sorted({token for line in read_labelled(contest / "train.txt") for token in line.tokens})
    texts = [LONG, *("heart" * (place % 2) + "mice" * (place % 3 + 1) for place in range(1, len(tokens)))]
    (made / "vocab.tsv").write_text("".join(f"{n}\t{text}\n" for n, text in zip(tokens, texts, strict=True)), "utf-8")
    return made


def tokenizer_of(kind: str) -> Any:
    """A tokenizer of transformers with a few pieces, as published encoders have."""
    from transformers import PreTrainedTokenizerFast

    specials = BERTS if kind == "wordpiece" else ROBERTAS
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(_rows([*specials, *WORDS]), unk_token="[UNK]"))
        made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    elif kind == "bytes":
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        merges = [("Ġ", "o"), ("Ġo", "f"), ("m", "i"), ("mi", "c"), ("mic", "e")]
        made = Tokenizer(models.BPE(_rows([*specials, *alphabet, *map("".join, merges)]), merges))
        made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    else:
        scores = [*((special, 0.0) for special in specials), ("▁", -3.0), ("▁of", -2.0), ("mice", -2.0), ("re", -2.5)]
        letters = [(letter, -4.0) for letter in sorted(set("HeartfailuofmiceAortahb-"))]
        made = Tokenizer(models.Unigram([*scores, *letters], unk_id=1))
        made.pre_tokenizer = pre_tokenizers.Metaspace()
    _, _, cls, sep, _ = specials
    ids = [(token, made.token_to_id(token)) for token in (cls, sep)]
    made.post_processor = processors.TemplateProcessing(single=f"{cls} $A {sep}", special_tokens=ids)
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=made, **dict(zip(names, specials, strict=True)))


def _rows(tokens: list[str]) -> dict[str, int]:
    return {token: row for row, token in enumerate(tokens)}


def checkpoint(folder: Path, name: str) -> tuple[Any, Any]:
    """A tiny published encoder in a folder: its tokenizer and its model without the head."""
    import transformers as hf

    kind, size = TYPES[name]
    tokenizer = tokenizer_of(kind)
    ids = {f"{key}_token_id": getattr(tokenizer, f"{key}_token_id") for key in ("pad", "cls", "sep")}
    ids |= {"bos_token_id": ids["cls_token_id"], "eos_token_id": ids["sep_token_id"]}
    config = hf.AutoConfig.for_model(name, vocab_size=len(tokenizer), **ids, **size)
    torch.manual_seed(1)
    model = hf.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer, model.base_model
