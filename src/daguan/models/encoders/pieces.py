"""A public checkpoint with its own tokenizer: words become pieces, and pieces become vectors of tokens again.

The tokenizer's pieces are an ordinary vocabulary of ours, with our special tokens in place of its own, so that the
encoder is built, pretrained further, saved and loaded as every other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daguan.core.errors import CheckpointError
from daguan.core.files import naming, read_json, write_json
from daguan.data.batches.collate import PieceRows
from daguan.data.vocabulary import SPECIALS, UNK, Vocabulary
from daguan.formats.code_book import UNKNOWN
from daguan.models.encoders.public_checkpoint import NONE, PublicVocabulary
from daguan.models.settings import FIRST

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER, TEXTS = "tokenizer", "pieces.json"  # a folder and a file beside the encoder


class Pieces:
    """Cuts tokens into the pieces of a checkpoint's tokenizer.

    Attributes:
        vocabulary: the pieces, after our special tokens.
        texts: what a token of the contest stands for, where it stands for another text.
        tokenizer: that of the checkpoint.
    """

    def __init__(self, tokenizer: Any, texts: Mapping[str, str]) -> None:
        """Raises CheckpointError: the tokenizer has no token for unknown ones."""
        public = PublicVocabulary.of(tokenizer)
        if public.specials[UNK] == NONE:
            raise CheckpointError(f"{tokenizer.name_or_path}: expected a token for unknown ones, got none")
        own = [piece for piece, row in public.rows.items() if row not in public.specials and piece not in SPECIALS]
        self.vocabulary = Vocabulary([*SPECIALS, *own])
        self.texts = dict(texts)
        self.tokenizer = tokenizer
        self._ids = {public.rows[piece]: number for number, piece in enumerate(own, start=len(SPECIALS))}
        self._known: dict[str, list[int]] = {}

    @classmethod
    def of_checkpoint(cls, folder: Path, texts: Mapping[str, str]) -> Pieces:
        """Returns the pieces of a checkpoint's tokenizer. Raises CheckpointError: there is none, or it is damaged."""
        from transformers import AutoTokenizer

        if not folder.is_dir():  # transformers would look for it on the hub
            raise CheckpointError(f"{folder}: expected a folder with a checkpoint, got none")
        try:  # words are cut as after a blank
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, add_prefix_space=True)
        except (OSError, ValueError, KeyError, ImportError) as error:
            message = " ".join(str(error).split())
            raise CheckpointError(f"{folder}: expected a readable tokenizer, got: {message}") from None
        return cls(tokenizer, texts)

    def save(self, folder: Path) -> None:
        """Writes the tokenizer as Hugging Face does, and what the contest's tokens stand for."""
        with naming(folder):
            self.tokenizer.save_pretrained(folder / TOKENIZER)
        write_json(folder / TEXTS, self.texts)

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        return (folder / TEXTS).is_file()

    @classmethod
    def load(cls, folder: Path) -> Pieces:
        """Returns what `save` wrote. Raises CheckpointError."""
        return cls.of_checkpoint(folder / TOKENIZER, read_json(folder / TEXTS))

    @property
    def table(self) -> Tensor:
        """Returns (R,) our number for each row of the tokenizer's own vocabulary; its special tokens are unknown."""
        table = torch.full((1 + max(self.tokenizer.get_vocab().values()),), UNK)
        table[[*self._ids]] = torch.tensor([*self._ids.values()])
        return table

    def backend(self) -> Tokenizer:
        """Returns the tokenizer as the package tokenizers has it, which cuts nothing off. Raises CheckpointError: it is
        Python code of transformers."""
        if not self.tokenizer.is_fast:
            got = f"{type(self.tokenizer).__name__}, which is Python code of transformers"
            raise CheckpointError(f"{self.tokenizer.name_or_path}: expected a tokenizer to export, got {got}")
        from tokenizers import Tokenizer

        made = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        made.no_truncation()
        made.no_padding()
        return made

    def encode(self, tokens: Sequence[str]) -> list[list[int]]:
        """Returns the pieces of each token, of which there is at least one."""
        return [self._known[token] if token in self._known else self._cut(token) for token in tokens]

    def of_ids(self, chunks: Iterable[NDArray[np.uint32]], vocabulary: Vocabulary) -> Iterator[NDArray[np.uint32]]:
        """Yields a text of the vocabulary's numbers in numbers of pieces; an unknown token is an unknown piece."""
        names = self.encode(vocabulary.entries[len(SPECIALS) :])
        table = [*([number] for number in range(len(SPECIALS))), *names]
        flat, counts = np.concatenate(table).astype(np.uint32), np.array([len(pieces) for pieces in table])
        starts = np.cumsum(counts) - counts
        for ids in chunks:
            lengths = counts[ids]
            within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            yield flat[np.repeat(starts[ids], lengths) + within]

    def _cut(self, token: str) -> list[int]:
        cut = self.tokenizer(
            [text_of(token, self.texts)],
            is_split_into_words=True,
            add_special_tokens=False,
            split_special_tokens=False,
        )
        self._known[token] = [self._ids.get(row, UNK) for row in cut["input_ids"]] or [UNK]
        return self._known[token]


def text_of(token: str, texts: Mapping[str, str]) -> str:
    """Returns the text that is read for a token of a contest. Where some tokens stand for texts, one that stands for
    none is an unknown text; else tokens are texts."""
    return texts.get(token, token.removeprefix(UNKNOWN)) if texts else token


def pooled(hidden: Tensor, rows: PieceRows, pooling: str) -> Tensor:
    """Returns the vectors (B,T,H) of tokens from those of their pieces, hidden (B,P,H): that of the first piece, or the
    mean of all. What stands at padding is not defined."""
    if pooling == FIRST:
        return hidden.gather(1, rows.starts.unsqueeze(2).expand(-1, -1, hidden.shape[2]))
    weights = rows.mask.to(hidden.dtype)
    shape = rows.starts.shape
    counts = weights.new_zeros(shape).scatter_add(1, rows.owners, weights)
    owners = rows.owners.unsqueeze(2).expand_as(hidden)
    sums = hidden.new_zeros(*shape, hidden.shape[2]).scatter_add(1, owners, hidden * weights.unsqueeze(2))
    return sums / counts.clamp(min=1).unsqueeze(2)


def dropped_pieces(rows: PieceRows, dropped: Tensor, replacement: int) -> Tensor:
    """Returns piece ids (B,P) with the replacement for all pieces of dropped tokens (B,T)."""
    return rows.ids.masked_fill(torch.gather(dropped, 1, rows.owners) & rows.mask, replacement)
