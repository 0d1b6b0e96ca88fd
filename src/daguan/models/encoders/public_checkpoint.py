"""Loads a public checkpoint with our vocabulary in place of its own; all other weights stay.

Anonymised tokens have no spelling, but they have ranks: our n-th most frequent token takes the embedding of the
checkpoint's n-th most frequent one. In the DaGuan cup of 2021 this gave a point of F1 over random embeddings.
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
from daguan.models.encoders.loading import Encoder, apply_runtime_settings, architecture_of, read_masked_lm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import AUTO, ENCODERS

TOKENIZER = "tokenizer.json"
UNUSED = re.compile(r"\[unused\d+\]")
NONE = -1  # in place of a row where the checkpoint has no row for a token
LEAST_SHARE = 0.5  # of the tokens looked up must be in the checkpoint's vocabulary
SPECIAL_FIELDS = {"pad_token_id": PAD, "bos_token_id": CLS, "eos_token_id": SEP}
SPECIAL_FIELDS_OF_SOME = {"cls_token_id": CLS, "sep_token_id": SEP, "mask_token_id": MASK}
PLACES = [2, 0]  # positions at which a head is tried
TOLERANCE = 1e-3  # for hidden states of about 1


@dataclass(frozen=True)
class PublicVocabulary:
    """The vocabulary of a checkpoint.

    Attributes:
        rows: the row of the embedding table for each token.
        specials: the rows for our [PAD] [UNK] [CLS] [SEP] [MASK], NONE for a missing one.
    """

    rows: Mapping[str, int]
    specials: tuple[int, ...]

    @classmethod
    def read(cls, folder: Path) -> PublicVocabulary:
        """Read tokenizer.json or vocab.txt. Raises CheckpointError: neither exists, or it is damaged."""
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
        """Read tokenizer.json, which names the special tokens: MPNet's vocab.txt also lists BERT's, unused."""
        from transformers import AutoTokenizer

        return cls.of(AutoTokenizer.from_pretrained(folder, trust_remote_code=False))

    @classmethod
    def of(cls, tokenizer: Any) -> PublicVocabulary:
        """Returns the vocabulary of a tokenizer of transformers."""
        rows = tokenizer.get_vocab()  # in no order, another one each time
        names = ("pad", "unk", "cls", "sep", "mask")
        found = (getattr(tokenizer, f"{name}_token_id") for name in names)
        return cls(
            {token: rows[token] for token in sorted(rows, key=rows.__getitem__)},
            tuple(NONE if row is None else int(row) for row in found),
        )

    def rows_by_rank(self, count: int, public: Sequence[str]) -> NDArray[np.int64]:
        """Return rows (count,) for our tokens by falling frequency: those of the public tokens by falling frequency, as
        far as the checkpoint has them, then those of its unused entries, then NONE."""
        known = [self.rows[token] for token in public if token in self.rows and self.rows[token] not in self.specials]
        unused = [row for token, row in self.rows.items() if UNUSED.fullmatch(token)]
        found = np.full(count, NONE)
        ranked = list(dict.fromkeys([*known, *unused]))[:count]
        found[: len(ranked)] = ranked
        return found

    def rows_by_spelling(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        """Return for each token (count,) the row of the token with the same spelling, or NONE."""
        return np.array([self.rows.get(token, NONE) for token in tokens], dtype=np.int64)


def load_public_checkpoint(architecture: str, settings: EncoderSettings, vocabulary: Vocabulary) -> Any:
    """Return the model that `settings.checkpoint` names, with its masked-LM head, for our vocabulary. Embeddings and a
    head that the checkpoint lacks are random.

    Raises:
        CheckpointError: the folder does not exist, its type is another one, it has no vocabulary or too few positions,
            its tokens are others and no counts are given, or its type cannot be used as BERT can.
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
    apply_runtime_settings(model, kind, settings)
    rows = _rows(folder, settings.counts, vocabulary, model.config.vocab_size)
    if kind is not ENCODERS[AUTO].load():
        return _with_rows(model, kind, rows)
    try:
        ours = _with_rows(model, kind, rows)
        _require_common(folder, ours, kind, settings.window)
        return ours
    except (
        AttributeError,
        IndexError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:  # from code of a type that was never tried
        message = " ".join(str(error).split())
        raise CheckpointError(
            f"{folder}: expected a type that is built and read as BERT, got {model.config.model_type}: {message}"
        ) from None


def _rows(folder: Path, counts: str, vocabulary: Vocabulary, size: int) -> NDArray[np.int64]:
    """Return for each entry of our vocabulary (V,) the row that it takes, or NONE."""
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
def _with_rows(model: Any, kind: Architecture, rows: NDArray[np.int64]) -> Any:
    """Return a model like the given one with those rows of its vocabulary as its vocabulary."""
    their_first = _first_position(model)
    first = PAD + 1 if their_first else 0
    config = _our_config(model.config, len(rows), first - their_first)
    fresh = type(model)(config)
    kind.complete(fresh)
    vocabulary_parameters = _vocabulary_parameters(fresh, config)
    known = torch.from_numpy(rows != NONE)
    taken = torch.from_numpy(rows[rows != NONE])
    for name, weight in fresh.named_parameters():
        theirs: Tensor = model.get_parameter(name)
        if name in vocabulary_parameters:
            weight[known] = theirs[taken]
        elif weight.shape == theirs.shape:
            weight.copy_(theirs)
        else:  # positions, which may start after another id of the padding token
            weight[first:] = theirs[their_first:]
    return fresh


def _first_position(model: Any) -> int:
    """Return the row of the first token in the table of positions: 0, or in RoBERTa's family, whose table has a row for
    the padding token, the row after that."""
    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    padding = next((table.padding_idx for table in tables if hasattr(table, "padding_idx")), None)
    return 0 if padding is None else int(padding) + 1


def _our_config(config: Any, vocabulary_size: int, more_positions: int) -> Any:
    """Return the configuration with our vocabulary and special tokens and, as in all our pretraining, no dropout."""
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


def _vocabulary_parameters(model: Any, config: Any) -> set[str]:
    """Return the names of the parameters with a row for each entry: those that grow with the vocabulary."""
    larger = deepcopy(config)
    larger.vocab_size += 1
    with torch.device("meta"):
        grown = type(model)(larger)
    return {name for name, weight in model.named_parameters() if weight.shape != grown.get_parameter(name).shape}


@torch.no_grad()
def _require_common(folder: Path, model: Any, kind: Architecture, window: int) -> None:
    """Check two assumptions for a type that was never tried: the encoder ignores padding, also in lines as long as the
    window, and the head reads each place by itself. Raises CheckpointError."""
    encoder, ids = Encoder(model.eval().base_model, 0.0).eval(), torch.tensor([[MASK, UNK, SEP, UNK]])
    padded = pad(ids, (0, window - ids.shape[1]), value=PAD)
    alone, beside = encoder(ids, ids != PAD), encoder(padded, padded != PAD)[:, : ids.shape[1]]
    hidden, logits = model.base_model(ids).last_hidden_state[0], model(ids).logits[0]
    head = logits[PLACES], kind.project(model, hidden[PLACES])
    for what, one, other in (("encoder ignores padding", alone, beside), ("head reads one place", *head)):
        if not torch.allclose(one, other, atol=TOLERANCE):
            raise CheckpointError(f"{folder}: expected a type whose {what}, got {model.config.model_type}")
