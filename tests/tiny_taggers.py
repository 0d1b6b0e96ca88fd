"""Tiny taggers and a batch for them."""

from __future__ import annotations

from typing import Any

import torch

from daguan.core.types import Sentence, Span
from daguan.data.batches.collate import Example, to_example
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.models.encoders.loading import new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger

SCHEME = TagScheme(("a", "b"))
VOCABULARY = Vocabulary((*SPECIALS, *map(str, range(30))))
SIZE = EncoderSettings(
    layers=1, hidden=32, heads=2, feed_forward=64, max_length=48, embedding_size=32, ngram_buckets=99
)
STILL = {"encoder_dropout": 0.0, "dropout": 0.0, "token_dropout": 0.0}
SENTENCES = [
    Sentence(tuple("31415926"), (Span(0, 2, "a"), Span(2, 3, "a"), Span(5, 8, "b"))),
    Sentence(("5",), (Span(0, 1, "b"),)),
    Sentence(tuple("271828"), ()),
    Sentence(tuple(map(str, range(20))), (Span(0, 1, "b"), Span(9, 16, "a"), Span(18, 20, "b"))),
]


def pointers(head: str, size: int) -> dict[str, int]:
    """The setting, for heads that read it."""
    reads = any("pointer_size" in HEADS[part.removeprefix("lstm_")].reads for part in head.split("+"))
    return {"pointer_size": size} if reads else {}


def tagger(head: str, **settings: Any) -> Tagger:
    torch.manual_seed(0)
    made = ModelSettings(head=head, lstm_hidden=16, **(STILL | pointers(head, 16) | settings))
    return Tagger(new_encoder(made.encoder, SIZE, len(VOCABULARY), made.encoder_dropout), SCHEME, made)


def examples() -> list[Example]:
    return [to_example(sentence, VOCABULARY, SCHEME) for sentence in SENTENCES]
