"""The tokenizer of an exported model that reads words in pieces: its public encoder's own, which counts the words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizerFast

from daguan.models.encoders.pieces import text_of

WORD = re.compile(r"\S+")


class DaguanTokenizer(PreTrainedTokenizerFast):
    """Gives `words` beside the pieces: the number of each piece's word, from 1; 0 at padding and at special tokens.

    Words are those of lists, with is_split_into_words=True, or what white space separates in texts. Each has a piece:
    one of which the tokenizer leaves nothing is unknown.
    """

    def __call__(
        self, text: Any, is_split_into_words: bool = False, return_tensors: str | None = None, **options: Any
    ) -> BatchEncoding:
        """Return what the tokenizer gives, and `words`. Offsets of a word's pieces reach from its start to its end."""
        alone = not text or isinstance(text[0], str) if is_split_into_words else isinstance(text, str)
        lines = [text] if alone else text
        if is_split_into_words:
            starts = [[0] * len(line) for line in lines]
        else:
            places = [[*WORD.finditer(line)] for line in lines]
            starts = [[place.start() for place in of_line] for of_line in places]
            lines = [[place.group() for place in of_line] for of_line in places]
        found = self._encoded(lines, options)
        words = [[0 if word is None else word + 1 for word in found.word_ids(row)] for row in range(len(lines))]
        found["words"] = words
        if offsets := found.get("offset_mapping"):
            rows = zip(words, offsets, lines, starts, strict=True)
            found["offset_mapping"] = [[*_places(*row)] for row in rows]
        if return_tensors:
            found.convert_to_tensors(return_tensors)
        elif alone:
            return BatchEncoding({name: rows[0] for name, rows in found.items()}, found.encodings)
        return found

    def _encoded(self, lines: Sequence[Sequence[str]], options: dict[str, Any]) -> BatchEncoding:
        """Return lists of pieces; words without any are replaced by the token for unknown ones."""
        read = [[text_of(word, self.init_kwargs["texts"]) for word in line] for line in lines]
        found: BatchEncoding = super().__call__(read, is_split_into_words=True, **options)
        gone = [{*range(len(line))} - {*found.word_ids(row)} for row, line in enumerate(read)]
        if any(gone):
            for line, numbers in zip(read, gone, strict=True):
                for number in numbers:
                    line[number] = self.unk_token
            found = super().__call__(read, is_split_into_words=True, **options)
        return found


def _places(
    owners: Sequence[int], offsets: Sequence[tuple[int, int]], words: Sequence[str], starts: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield the characters of each piece: a word's first begins where it begins, its last ends where it ends."""
    around = [0, *owners, 0]
    for before, owner, after, (start, stop) in zip(around, owners, around[2:], offsets, strict=False):
        if owner:
            word, base = words[owner - 1], starts[owner - 1]
            start, stop = base + (start if before == owner else 0), base + (stop if after == owner else len(word))
        yield start, stop
