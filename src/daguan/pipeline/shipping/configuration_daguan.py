"""The configuration of an exported model, in Hugging Face's layout."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig


class DaguanConfig(PreTrainedConfig):
    """The configuration.

    Attributes:
        encoder: the fields of the encoder's configuration.
        tagger: the settings of the tagger: its heads and their sizes.
        labels: the types of entities, in the order of the heads' tags.
        window: number of pieces of words that the model reads at once; longer lines are cut into windows.
        overlap: number of pieces that neighbouring windows share.
        rows: number of rows of the tokenizer's vocabulary; 0 where each word is one piece with the model's number.
        judge: the fitted `stack` that chooses among spans, the `tokens` by their numbers, how many of them the encoder
            is `trained_on`, and the types and shapes of the `arrays` of the n-gram CRF that proposes spans, too; None
            where the model decides alone.
    """

    model_type = "daguan"
    encoder: dict[str, Any] | None = None
    tagger: dict[str, Any] | None = None
    labels: list[str] | None = None
    window: int = 126
    overlap: int = 47
    rows: int = 0
    judge: dict[str, Any] | None = None
