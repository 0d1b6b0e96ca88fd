"""A checkpoint with its own tokenizer reads words as Hugging Face does, and gives each token one vector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daguan.core.errors import CheckpointError
from daguan.core.types import Sentence
from daguan.data.batches.collate import collate, to_example
from daguan.data.vocabulary import MASK, SEP, SPECIALS, UNK, Vocabulary
from daguan.models.encoders.loading import Encoder
from daguan.models.encoders.pieces import Pieces, dropped_pieces, pooled
from daguan.models.encoders.public_checkpoint import load_public_checkpoint
from daguan.models.encoders.settings import EncoderSettings
from public_encoders import TYPES, checkpoint, tokenizer_of

LINES = [["Heart", "failure", "of", "mice"], ["Aorta"], ["of", "heartmice", "é", "a-b", "mice", "of"]]


def read(folder: Path, texts: dict[str, str] | None = None) -> tuple[Pieces, Encoder]:
    pieces = Pieces.of_checkpoint(folder, texts or {})
    size = EncoderSettings(max_length=32, checkpoint=str(folder))
    return pieces, Encoder(load_public_checkpoint("auto", size, pieces.vocabulary).base_model, 0.0).eval()


def rows_of(pieces: Pieces, lines: list[list[str]]) -> Any:
    tokens = Vocabulary(SPECIALS)
    examples = [to_example(Sentence(tuple(line)), tokens, None, pieces.encode) for line in lines]
    return collate(examples, 8).pieces


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("name", TYPES)
@torch.no_grad()
def test_each_token_has_the_vectors_that_hugging_face_gives_its_pieces(tmp_path: Path, name: str, pooling: str) -> None:
    tokenizer, model = checkpoint(tmp_path, name)
    pieces, encoder = read(tmp_path)
    rows = rows_of(pieces, LINES)
    found = pooled(encoder(rows.ids, rows.mask), rows, pooling)
    for line, vectors in zip(LINES, found, strict=True):
        theirs = tokenizer(line, is_split_into_words=True, return_tensors="pt")
        states, owners = model(theirs["input_ids"]).last_hidden_state[0], theirs.word_ids()
        for place in range(len(line)):
            own = [at for at, owner in enumerate(owners) if owner == place]
            expected = states[own[0]] if pooling == "first" else states[own].mean(0)
            assert torch.allclose(vectors[place], expected, atol=1e-4)


def test_each_token_has_a_piece_and_unknown_ones_the_unknown_piece(tmp_path: Path) -> None:
    tokenizer_of("wordpiece").save_pretrained(tmp_path)
    pieces = Pieces.of_checkpoint(tmp_path, {"17": "heartmice"})
    assert pieces.encode(["\u200b", "", "漢", "?"]) == [[UNK]] * 4
    names = [pieces.vocabulary.entries[piece] for piece in pieces.encode(["17"])[0]]
    assert names == ["heart", "##mice"]
    assert pieces.encode(["?mice"]) == pieces.encode(["mice"])  # a token that the code book does not know


def test_a_saved_tokenizer_cuts_as_before(tmp_path: Path) -> None:
    tokenizer_of("bytes").save_pretrained(tmp_path / "their")
    pieces = Pieces.of_checkpoint(tmp_path / "their", {"1": "of\tmice"})
    pieces.save(tmp_path / "ours")
    again = Pieces.load(tmp_path / "ours")
    assert again.vocabulary.entries == pieces.vocabulary.entries
    for line in [*LINES, ["1", "2"]]:
        assert again.encode(line) == pieces.encode(line)


def test_dropped_tokens_lose_all_their_pieces_and_padding_stays(tmp_path: Path) -> None:
    tokenizer_of("wordpiece").save_pretrained(tmp_path)
    rows = rows_of(Pieces.of_checkpoint(tmp_path, {}), LINES)
    dropped = torch.zeros_like(rows.starts, dtype=torch.bool)
    dropped[0, 1] = dropped[2, 0] = True
    found = dropped_pieces(rows, dropped, MASK)
    expected = rows.ids.clone()
    expected[0, 1:3] = MASK  # fail ##ure
    expected[2, 0] = MASK
    assert found.equal(expected)


def test_a_text_in_pieces_is_the_pieces_of_its_tokens(tmp_path: Path) -> None:
    tokenizer_of("bytes").save_pretrained(tmp_path)
    pieces, vocabulary = Pieces.of_checkpoint(tmp_path, {}), Vocabulary([*SPECIALS, "of", "mice", "failure"])
    lines = [["of", "failure"], ["mice"], ["of", "of", "elsewhere"]]
    ids = [number for line in lines for number in [*vocabulary.encode(line), SEP]]
    chunks = [np.array(part, np.uint32) for part in (ids[:3], [], ids[3:])]
    found = np.concatenate(list(pieces.of_ids(chunks, vocabulary))).tolist()
    cut = {token: pieces.encode([token])[0] for token in ("of", "mice", "failure")} | {"elsewhere": [UNK]}
    assert found == [piece for line in lines for token in [*line, ""] for piece in cut.get(token, [SEP])]


def test_a_folder_without_a_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected a readable tokenizer, got: [^\n]+$"):
        Pieces.of_checkpoint(tmp_path, {})
