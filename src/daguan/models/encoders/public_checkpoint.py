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
from torch.nn.functional import pad

from daguan.core.errors import CheckpointError
from daguan.data.frequency_table import read_by_frequency
from daguan.data.vocabulary import CLS, FILE, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary
from daguan.models.encoders.architecture import Architecture
from daguan.models.encoders.loading import Encoder, architecture_of, read_as_asked, read_masked_lm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import AUTO, ENCODERS

TOKENIZER = "tokenizer.json"
UNUSED = re.compile(r"\[unused\d+\]")
NONE = -1  # in place of a row: there is none for the token
LEAST_SHARE = 0.5  # of the tokens looked up in the checkpoint's vocabulary that must stand there
SPECIAL_FIELDS = {"pad_token_id": PAD, "bos_token_id": CLS, "eos_token_id": SEP}
SPECIAL_FIELDS_OF_SOME = {"cls_token_id": CLS, "sep_token_id": SEP, "mask_token_id": MASK}
PLACES = [2, 0]  # of a few tokens, enough to try a head on
TOLERANCE = 1e-3  # for states of about 1


@dataclass(frozen=True)
class PublicVocabulary:
    """rows: of the embedding table by token; specials: the rows of what ours are called [PAD] [UNK] [CLS] [SEP] [MASK],
    NONE for one that is missing."""

    rows: Mapping[str, int]
    specials: tuple[int, ...]

    @classmethod
    def read(cls, folder: Path) -> PublicVocabulary:
        """From tokenizer.json or vocab.txt. Raises CheckpointError: neither is there, or it is damaged."""
        try:
            return cls._read(folder)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: expected a readable vocabulary, got: {' '.join(str(error).split())}"
            ) from None

    @classmethod
    def _read(cls, folder: Path) -> PublicVocabulary:
        if (folder / TOKENIZER).is_file():
            return cls._read_tokenizer(folder)
        if not (folder / FILE).is_file():
            raise CheckpointError(f"{folder}: expected {FILE} or {TOKENIZER}, got neither")
        tokens = (folder / FILE).read_text("utf-8").removesuffix("\n").split("\n")
        rows = {token: row for row, token in enumerate(tokens)}
        return cls(rows, tuple(rows.get(special, NONE) for special in SPECIALS))

    @classmethod
    def _read_tokenizer(cls, folder: Path) -> PublicVocabulary:
        """It knows how its special tokens are called: MPNet's vocab.txt has BERT's beside them, which say nothing."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        rows = tokenizer.get_vocab()  # in no order, another one each time
        names = ("pad", "unk", "cls", "sep", "mask")
        found = (getattr(tokenizer, f"{name}_token_id") for name in names)
        return cls(
            {token: rows[token] for token in sorted(rows, key=rows.__getitem__)},
            tuple(NONE if row is None else int(row) for row in found),
        )

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
        CheckpointError: no such folder, of another type, without a vocabulary, with too few positions, of other tokens
            while no counts are given, or of a type that is not read as all others are.
        DataError: the count table is malformed.
    """
    folder = Path(settings.checkpoint)
    model = read_masked_lm(folder, architecture)
    kind = architecture_of(model.config)
    positions = getattr(model.config, "max_position_embeddings", 0) - _first_position(model)
    if positions < settings.max_length:
        raise CheckpointError(
            f"{folder}: expected at least encoder.max_length={settings.max_length} positions, got {positions}"
        )
    read_as_asked(model, kind, settings)
    rows = _rows(folder, settings.counts, vocabulary, model.config.vocab_size)
    if kind is not ENCODERS[AUTO].load():
        return _over_rows(model, kind, rows)
    try:
        ours = _over_rows(model, kind, rows)
        _require_common(folder, ours, kind, settings.window)
        return ours
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:  # whatever code nobody has tried
        message = " ".join(str(error).split())
        raise CheckpointError(
            f"{folder}: expected a type that is built and read as BERT, got {model.config.model_type}: {message}"
        ) from None


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
    their_first = _first_position(model)
    first = PAD + 1 if their_first else 0
    config = _our_config(model.config, len(rows), first - their_first)
    fresh = type(model)(config)
    kind.complete(fresh)
    of_vocabulary = _names_of_vocabulary(fresh, config)
    known = torch.from_numpy(rows != NONE)
    taken = torch.from_numpy(rows[rows != NONE])
    for name, weight in fresh.named_parameters():
        theirs: Tensor = model.get_parameter(name)
        if name in of_vocabulary:
            weight[known] = theirs[taken]
        elif weight.shape == theirs.shape:
            weight.copy_(theirs)
        else:  # positions, which may be counted from another id of the padding token
            weight[first:] = theirs[their_first:]
    return fresh


def _first_position(model: Any) -> int:
    """The row of the position table that the first token reads: 0, or of RoBERTa's kin, whose table has a row for the
    padding token, the one after that."""
    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    padding = next((table.padding_idx for table in tables if hasattr(table, "padding_idx")), None)
    return 0 if padding is None else int(padding) + 1


def _our_config(config: Any, vocabulary_size: int, more_positions: int) -> Any:
    """The same sizes over our vocabulary and specials, without dropout, as all our models are pretrained."""
    ours = deepcopy(config)
    ours.vocab_size = vocabulary_size
    of_some = {name: special for name, special in SPECIAL_FIELDS_OF_SOME.items() if hasattr(ours, name)}
    for name, special in (SPECIAL_FIELDS | of_some).items():
        setattr(ours, name, special)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(ours, name):
            setattr(ours, name, 0.0)
    ours.max_position_embeddings += more_positions
    return ours


def _names_of_vocabulary(model: Any, config: Any) -> set[str]:
    """The parameters that have a row an entry: those that grow with the vocabulary."""
    larger = deepcopy(config)
    larger.vocab_size += 1
    with torch.device("meta"):
        grown = type(model)(larger)
    return {name for name, weight in model.named_parameters() if weight.shape != grown.get_parameter(name).shape}


@torch.no_grad()
def _require_common(folder: Path, model: Any, kind: Architecture, window: int) -> None:
    """Of a type that nobody has tried, what is taken for granted of all: padding is not read, in lines as long as the
    window, and the head reads each place by itself. Raises CheckpointError."""
    encoder, ids = Encoder(model.eval().base_model, 0.0).eval(), torch.tensor([[MASK, UNK, SEP, UNK]])
    padded = pad(ids, (0, window - ids.shape[1]), value=PAD)
    alone, beside = encoder(ids, ids != PAD), encoder(padded, padded != PAD)[:, : ids.shape[1]]
    hidden, logits = model.base_model(ids).last_hidden_state[0], model(ids).logits[0]
    head = logits[PLACES], kind.project(model, hidden[PLACES])
    for what, one, other in (("encoder ignores padding", alone, beside), ("head reads one place", *head)):
        if not torch.allclose(one, other, atol=TOLERANCE):
            raise CheckpointError(f"{folder}: expected a type whose {what}, got {model.config.model_type}")
