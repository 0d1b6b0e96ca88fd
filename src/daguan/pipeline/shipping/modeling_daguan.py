"""An exported model: it labels lines of token ids, in Hugging Face's layout and without the package daguan.

Lines may have any length: windows are cut, stitched and decoded inside the model, as `daguan predict` does it. Export
writes this module and what it needs beside the weights (sources.py). B lines of up to T tokens, K tags, X types.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from daguan.core.types import Span
from daguan.data.batches.collate import Example, collate, sorted_batches
from daguan.data.batches.windows import stitch, windows_of
from daguan.data.span_probabilities import with_probabilities
from daguan.data.tags import TagScheme
from daguan.models.encoders.loading import FramedEncoder
from daguan.models.tagger import Tagger
from daguan.pipeline.shipping.configuration_daguan import DaguanConfig
from daguan.pipeline.shipping.parts import new_encoder
from daguan.training.prediction import BATCH_SCORES, BATCH_TOKENS, decode_tags, log_probs

MULTIPLE = 4  # lengths are padded to its multiples
LIFT = 1e-3  # nats by which the chosen tag leads, where decoding did not choose the most probable one
Marginals = NDArray[np.float16]


class DaguanForTokenClassification(PreTrainedModel):
    """An encoder with its heads, and their decoding."""

    config_class = DaguanConfig
    config: DaguanConfig
    main_input_name = "input_ids"

    def __init__(self, config: DaguanConfig) -> None:
        super().__init__(config)
        self.scheme = TagScheme(tuple(config.labels or ()))
        settings: Any = SimpleNamespace(**(config.tagger or {}))
        encoder: Any = FramedEncoder(new_encoder(config.encoder or {}))
        self.tagger = Tagger(encoder, self.scheme, settings)
        for module in self.tagger.heads.modules():  # their tables are stored, too, as no code of theirs fills them here
            for name, buffer in [*module.named_buffers(recurse=False)]:
                module.register_buffer(name, buffer)
        self.post_init()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def marginals(self, lines: Sequence[Sequence[int]]) -> list[Marginals]:
        """Return P(tag) (T,K) of each line of token ids, none of which is empty."""
        size, overlap = self.config.window, self.config.overlap
        by_line = [windows_of(number, [1] * len(line), size, overlap) for number, line in enumerate(lines)]
        windows = [window for of_line in by_line for window in of_line]
        examples = [Example(list(lines[window.line][window.start : window.stop])) for window in windows]
        lengths, found = [len(example) for example in examples], {}
        for indices in sorted_batches(lengths, BATCH_TOKENS, MULTIPLE, self._most_rows):
            batch = collate([examples[i] for i in indices], MULTIPLE).to(self.device)
            probs = self.tagger.marginals(batch).float().cpu().numpy()
            for row, i in enumerate(indices):
                found[windows[i]] = probs[row, : lengths[i]].astype(np.float16)
        return [stitch(of_line, [found[window] for window in of_line]) for of_line in by_line]

    def _most_rows(self, length: int) -> int:
        return BATCH_SCORES // self.tagger.scores_per_row(length)

    def spans(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> list[list[Span]]:
        """Return the entities of each line: Span(start, stop, label, probability), half-open in tokens.

        input_ids (B,T) and attention_mask (B,T) are what the tokenizer gives for lists of tokens with
        is_split_into_words=True and padding=True.
        """
        kept, answers = self._answers(input_ids, attention_mask)
        decoded = [self.scheme.decode(tags) for tags in decode_tags(answers, self.scheme)] if answers else []
        of_row = dict(zip(kept, with_probabilities(decoded, answers, self.scheme), strict=True))
        return [list(of_row.get(row, ())) for row in range(len(input_ids))]

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> TokenClassifierOutput:
        """Return logits (B,T,1+2X) of O, and of B- and I- of each type: log-probabilities.

        The highest one is that of the tag that decoding chose, so that a pipeline with aggregation_strategy="simple"
        gives the model's own entities.
        """
        kept, answers = self._answers(input_ids, attention_mask)
        logits = torch.zeros(*input_ids.shape, 1 + 2 * len(self.scheme.labels))
        inside = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        for row, probs, tags in zip(kept, answers, decode_tags(answers, self.scheme) if answers else [], strict=True):
            logits[row, inside[row].bool().cpu()] = torch.from_numpy(bio_logits(probs, tags))
        return TokenClassifierOutput(logits=logits.to(self.device))

    def _answers(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[list[int], list[Marginals]]:
        """Return the numbers of the rows with tokens, and their marginals (T,K)."""
        inside = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        lines = [ids[real.bool()].tolist() for ids, real in zip(input_ids, inside, strict=True)]
        kept = [row for row, line in enumerate(lines) if line]
        return kept, self.marginals([lines[row] for row in kept])


def bio_logits(probs: Marginals, tags: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the log-probabilities (T,1+2X) of O, B- and I- by type, of BIOES marginals (T,K) and the decoded tags
    (T,), whose logits are lifted to be the highest."""
    outside, begin, inside, end, single = probs[:, :1], *(probs[:, first::4] for first in range(1, 5))
    pairs = np.stack([begin + single, inside + end], axis=2).reshape(len(probs), -1)
    logits = log_probs(np.concatenate([outside, pairs], axis=1))
    places = np.arange(len(tags))
    chosen = bio_tags(tags)
    best = logits.max(1)
    led = logits.argmax(1) == chosen
    logits[places, chosen] = np.where(led, best, best + LIFT)
    return logits


def bio_tags(tags: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers (T,) among O, B-x, I-x, B-y, … of BIOES tags (T,): single entities begin, ends are inside."""
    kind, prefix = np.divmod(tags - 1, 4)
    found: NDArray[np.int64] = np.where(tags == 0, 0, 1 + 2 * kind + np.isin(prefix, (1, 2)))
    return found
