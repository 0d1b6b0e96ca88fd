"""A public checkpoint made one of ours: its weights as they are, its vocabulary exchanged for ours.

Anonymised tokens have no spelling, but they have ranks: the n-th most frequent token here takes the embedding of the
n-th most frequent one there. In the DaGuan cup of 2021 that was worth a point of F1 over random embeddings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daguan.core.errors import CheckpointError
from daguan.models.architecture import Architecture
from daguan.models.encoder_settings import EncoderSettings
from daguan.models.encoders import architectures, read_as_asked, read_masked_lm
from daguan.text.counts import read_by_frequency
from daguan.text.vocabulary import CLS, FILE, PAD, SEP, SPECIALS, Vocabulary

TOKENIZER = "tokenizer.json"
UNUSED = re.compile(r"\[unused\d+\]")
NONE = -1  # in place of a row: there is none for the token
LEAST_SHARE = 0.5  # of the tokens looked up in the checkpoint's vocabulary that must stand there
SPECIAL_FIELDS = {"pad_token_id": PAD, "bos_token_id": CLS, "eos_token_id": SEP}


@dataclass(frozen=True)
class PublicVocabulary:
    """rows: of the embedding table by token; specials: the rows of what ours are called [PAD] [UNK] [CLS] [SEP] [MASK],
    NONE for one that is missing."""

    rows: Mapping[str, int]
    specials: tuple[int, ...]

    @classmethod
    def read(cls, folder: Path) -> PublicVocabulary:
        """From vocab.txt or tokenizer.json. Raises CheckpointError: neither is there, or it is damaged."""
        try:
            return cls._read(folder)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: expected a readable vocabulary, got: {' '.join(str(error).split())}"
            ) from None

    @classmethod
    def _read(cls, folder: Path) -> PublicVocabulary:
        if (folder / FILE).is_file():
            tokens = (folder / FILE).read_text("utf-8").removesuffix("\n").split("\n")
            rows = {token: row for row, token in enumerate(tokens)}
            return cls(rows, tuple(rows.get(special, NONE) for special in SPECIALS))
        if not (folder / TOKENIZER).is_file():
            raise CheckpointError(f"{folder}: expected {FILE} or {TOKENIZER}, got neither")
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        names = ("pad", "unk", "cls", "sep", "mask")
        found = (getattr(tokenizer, f"{name}_token_id") for name in names)
        return cls(tokenizer.get_vocab(), tuple(NONE if row is None else int(row) for row in found))

    def rows_by_rank(self, count: int, public: Sequence[str]) -> NDArray[np.int64]:
        """For `count` tokens by falling frequency (count,): the rows of the public ones, those the checkpoint has, by
        falling frequency, then of its unused entries, then NONE."""
        known = [self.rows[token] for token in public if token in self.rows and self.rows[token] not in self.specials]
        unused = [row for token, row in self.rows.items() if UNUSED.fullmatch(token)]
        found = np.full(count, NONE)
        ranked = list(dict.fromkeys([*known, *unused]))[:count]
        found[: len(ranked)] = ranked
        return found

    def rows_by_spelling(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        """Of each token (count,) the row of the one spelt like it, or NONE."""
        return np.array([self.rows.get(token, NONE) for token in tokens], dtype=np.int64)


def adopt(architecture: str, settings: EncoderSettings, vocabulary: Vocabulary) -> Any:
    """The checkpoint that `settings.checkpoint` names, with its masked-LM head, over our vocabulary. Rows and a head
    that it has not are random.

    Raises:
        CheckpointError: no such folder, of another type, without a vocabulary, with too few positions, or of other
            tokens while no counts are given.
        DataError: the count table is malformed.
    """
    folder = Path(settings.checkpoint)
    model = read_masked_lm(folder, architecture)
    kind = architectures()[architecture]
    positions = getattr(model.config, "max_position_embeddings", 0) - kind.first_position(model.config)
    if positions < settings.max_length:
        raise CheckpointError(
            f"{folder}: expected at least encoder.max_length={settings.max_length} positions, got {positions}"
        )
    read_as_asked(model, kind, settings)
    return _over_rows(model, kind, _rows(folder, settings.counts, vocabulary, model.config.vocab_size))


def _rows(folder: Path, counts: str, vocabulary: Vocabulary, size: int) -> NDArray[np.int64]:
    """Of each entry of ours (V,) the row it takes, or NONE."""
    public, tokens = PublicVocabulary.read(folder), vocabulary.entries[len(SPECIALS) :]
    if counts:
        ranked = read_by_frequency(Path(counts))[: len(tokens)]
        rows = public.rows_by_rank(len(tokens), ranked)
        _require_share(folder, "with the tokens of encoder.counts", [token in public.rows for token in ranked])
    else:
        rows = public.rows_by_spelling(tokens)
        _require_share(folder, "with our tokens where encoder.counts is not given", (rows != NONE).tolist())
    whole = np.concatenate([np.array(public.specials), rows])
    if whole.max() >= size:
        raise CheckpointError(f"{folder}: expected tokens below {size} as in its embedding table, got {whole.max()}")
    return whole


def _require_share(folder: Path, what: str, known: list[bool]) -> None:
    share = sum(known) / len(known) if known else 1.0
    if share < LEAST_SHARE:
        raise CheckpointError(f"{folder}: expected a vocabulary {what}, got {100 * share:.0f} % of them")


@torch.no_grad()
def _over_rows(model: Any, kind: Architecture, rows: NDArray[np.int64]) -> Any:
    """A model like the given one whose vocabulary is those rows of its own."""
    config = _our_config(model.config, kind, len(rows))
    fresh = type(model)(config)
    of_vocabulary = _names_of_vocabulary(fresh, config)
    known = torch.from_numpy(rows != NONE)
    taken = torch.from_numpy(rows[rows != NONE])
    first, their_first = kind.first_position(config), kind.first_position(model.config)
    for name, weight in fresh.named_parameters():
        theirs: Tensor = model.get_parameter(name)
        if name in of_vocabulary:
            weight[known] = theirs[taken]
        elif weight.shape == theirs.shape:
            weight.copy_(theirs)
        else:  # positions, which may be counted from another id of the padding token
            weight[first:] = theirs[their_first:]
    return fresh


def _our_config(config: Any, kind: Architecture, vocabulary_size: int) -> Any:
    """The same sizes over our vocabulary and specials, without dropout, as all our models are pretrained."""
    ours = deepcopy(config)
    ours.vocab_size = vocabulary_size
    for name, special in SPECIAL_FIELDS.items():
        setattr(ours, name, special)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(ours, name):
            setattr(ours, name, 0.0)
    ours.max_position_embeddings += kind.first_position(ours) - kind.first_position(config)
    return ours


def _names_of_vocabulary(model: Any, config: Any) -> set[str]:
    """The parameters that have a row an entry: those that grow with the vocabulary."""
    larger = deepcopy(config)
    larger.vocab_size += 1
    with torch.device("meta"):
        grown = type(model)(larger)
    return {name for name, weight in model.named_parameters() if weight.shape != grown.get_parameter(name).shape}
