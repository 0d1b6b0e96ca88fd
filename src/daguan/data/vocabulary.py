"""Maps tokens to ids and back. The special tokens come first, then tokens by falling frequency (ties in text order)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from daguan.core.errors import CheckpointError
from daguan.core.files import write_text
from daguan.core.settings import Section, require, setting

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(len(SPECIALS))
FILE = "vocab.txt"


class VocabularySettings(Section):
    """The vocabulary of all encoders without a public checkpoint."""

    min_count: int = setting(2, "Tokens that occur less often become [UNK].", ge=1)
    max_size: int = setting(0, "Most entries, special tokens included; 0 for no limit.", ge=0)

    def check(self) -> None:
        require("max_size", self.max_size == 0 or self.max_size > len(SPECIALS), "0 or over 5", self.max_size)


class Vocabulary:
    """An immutable table of tokens; unknown ones map to [UNK], also those spelt like a special token.

    Raises:
        ValueError: the entries do not begin with the special tokens, or hold a duplicate.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        if tuple(entries[: len(SPECIALS)]) != SPECIALS or len(set(entries)) != len(entries):
            raise ValueError(f"expected {' '.join(SPECIALS)} and then distinct tokens")
        self.entries = tuple(entries)
        self._ids = {token: id for id, token in enumerate(entries) if id >= len(SPECIALS)}

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def encode(self, tokens: Iterable[str]) -> list[int]:
        ids = self._ids
        return [ids.get(token, UNK) for token in tokens]

    def save(self, folder: Path) -> None:
        """Writes one token a line, as Hugging Face's vocab.txt."""
        write_text(folder / FILE, "".join(f"{entry}\n" for entry in self.entries))

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Reads a saved vocabulary. Raises CheckpointError: no such file, or not a vocabulary."""
        path = folder / FILE
        if not path.is_file():
            raise CheckpointError(f"{path}: expected a vocabulary, got nothing at that path")
        try:
            *entries, rest = path.read_text(encoding="utf-8").split("\n")
            if rest:
                raise ValueError("expected a newline at the end")
            return cls(entries)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}; the file is damaged") from None


def count_to_vocabulary(counts: Counter[str], settings: VocabularySettings) -> Vocabulary:
    """Returns the vocabulary of the tokens that are frequent enough."""
    frequent = [token for token, count in counts.most_common() if count >= settings.min_count and token not in SPECIALS]
    entries = (*SPECIALS, *frequent)
    return Vocabulary(entries[: settings.max_size or None])
