"""An exported model: it labels lines of words, in Hugging Face's layout and without the package daguan.

Lines may have any length: windows are cut, stitched and decoded inside the model, as `daguan predict` does it. Export
writes this module and what it needs beside the weights (sources.py). A model whose words have vectors of their own
reads each word as one piece; such a model may have a judge, which chooses among the spans that it or an n-gram CRF
proposes. B lines of up to P pieces of T words, K tags, X types.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import islice
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
from daguan.data.decoding import decode_lines, log_probs
from daguan.data.span_probabilities import with_probabilities
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import UNK
from daguan.models.encoders.loading import FramedEncoder
from daguan.models.tagger import Tagger
from daguan.pipeline.shipping.configuration_daguan import DaguanConfig
from daguan.pipeline.shipping.parts import new_encoder, new_judge
from daguan.training.prediction import BATCH_SCORES, BATCH_TOKENS

MULTIPLE = 4  # lengths are padded to its multiples
LIFT = 1e-3  # nats by which the chosen tag leads, where decoding did not choose the most probable one
Marginals = NDArray[np.float16]
Line = list[list[int]]  # the numbers of the pieces of each word


class DaguanForTokenClassification(PreTrainedModel):
    """An encoder with its heads, and their decoding."""

    config_class = DaguanConfig
    config: DaguanConfig
    table: Tensor
    main_input_name = "input_ids"

    def __init__(self, config: DaguanConfig) -> None:
        super().__init__(config)
        self.scheme = TagScheme(tuple(config.labels or ()))
        settings: Any = SimpleNamespace(**(config.tagger or {}))
        encoder: Any = FramedEncoder(new_encoder(config.encoder or {}))
        self.tagger = Tagger(encoder, self.scheme, settings)
        if config.rows:
            self.register_buffer("table", torch.zeros(config.rows, dtype=torch.long))
        for name, (kind, shape) in (config.judge or {}).get("arrays", {}).items():
            self.register_buffer(buffer_of(name), torch.zeros(shape, dtype=getattr(torch, kind)))
        for module in self.tagger.heads.modules():  # their tables are stored, too, as no code of theirs fills them here
            for name, buffer in [*module.named_buffers(recurse=False)]:
                module.register_buffer(name, buffer)
        self.post_init()  # type: ignore[no-untyped-call]

    @cached_property
    def judge(self) -> Any:
        """What chooses among spans; None where the model decides alone."""
        if not self.config.judge:
            return None
        buffers = {name: getattr(self, buffer_of(name)).cpu() for name in self.config.judge["arrays"]}
        arrays = {name: (one.float() if one.is_floating_point() else one).numpy() for name, one in buffers.items()}
        return new_judge(self.config.judge, arrays)

    @torch.no_grad()
    def marginals(self, lines: Sequence[Line]) -> list[Marginals]:
        """Return P(tag) (T,K) of each line, none of which is empty: the model's numbers of the pieces of each word."""
        size, overlap = self.config.window, self.config.overlap
        cut = [[pieces[:size] for pieces in line] for line in lines]
        by_line = [windows_of(number, [*map(len, line)], size, overlap) for number, line in enumerate(cut)]
        windows = [window for of_line in by_line for window in of_line]
        examples = [self._example(cut[window.line][window.start : window.stop]) for window in windows]
        widths, found = [example.width for example in examples], {}
        for indices in sorted_batches(widths, BATCH_TOKENS, MULTIPLE, self._most_rows):
            batch = collate([examples[i] for i in indices], MULTIPLE).to(self.device)
            probs = self.tagger.marginals(batch).float().cpu().numpy()
            for row, i in enumerate(indices):
                found[windows[i]] = probs[row, : len(examples[i])].astype(np.float16)
        return [stitch(of_line, [found[window] for window in of_line]) for of_line in by_line]

    def _most_rows(self, length: int) -> int:
        return BATCH_SCORES // self.tagger.scores_per_row(length)

    def _example(self, words: list[list[int]]) -> Example:
        if self.config.rows:
            return Example([UNK] * len(words), pieces=words)
        most = self.config.judge["trained_on"] if self.config.judge else None  # the judge knows further words
        return Example([number if most is None or number < most else UNK for (number,) in words])

    def spans(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, words: Tensor | None = None, **_: Any
    ) -> list[list[Span]]:
        """Return the entities of each line: Span(start, stop, label, probability), half-open in words.

        input_ids (B,P), attention_mask (B,P) and words (B,P) are what the tokenizer gives for lists of words with
        is_split_into_words=True and padding=True; not every tokenizer gives `words`.
        """
        kept, lines = self._lines(input_ids, self._owners(input_ids, attention_mask, words))
        of_row = dict(zip(kept, self._spans(lines, self.marginals(lines)), strict=True))
        return [list(of_row.get(row, ())) for row in range(len(input_ids))]

    def _spans(self, lines: Sequence[Line], answers: Sequence[Marginals]) -> Sequence[tuple[Span, ...]]:
        """Return the entities of each line, with their probabilities, of its marginals."""
        if self.judge:
            words = [[number for (number,) in line] for line in lines]
            found: Sequence[tuple[Span, ...]] = self.judge.spans(words, answers)
            return found
        return with_probabilities(decode_lines(answers, self.scheme), answers, self.scheme)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, words: Tensor | None = None, **_: Any
    ) -> TokenClassifierOutput:
        """Return logits (B,P,1+2X) of O, and of B- and I- of each type: log-probabilities.

        The highest one is that of the tag that decoding chose, so that a pipeline with aggregation_strategy="simple"
        gives the model's own entities. The pieces of a word have its logits, but for what begins at its first one.
        """
        owners = self._owners(input_ids, attention_mask, words)
        kept, lines = self._lines(input_ids, owners)
        answers = self.marginals(lines)
        logits = torch.zeros(*input_ids.shape, 1 + 2 * len(self.scheme.labels))
        for row, probs, spans in zip(kept, answers, self._spans(lines, answers), strict=True):
            tags = self.scheme.encode(len(probs), spans)
            of_row = owners[row].cpu()
            inside = of_row > 0
            place = of_row[inside].numpy() - 1
            later = np.diff(place, prepend=-1) == 0
            logits[row, inside] = torch.from_numpy(bio_logits(probs[place], tags[place], later))
        return TokenClassifierOutput(logits=logits.to(self.device))

    def _owners(self, input_ids: Tensor, attention_mask: Tensor | None, words: Tensor | None) -> Tensor:
        """Return (B,P) the number of the word that a piece is of, from 1; 0 at padding. Raises ValueError: it is not
        given."""
        if self.config.rows:
            if words is None:
                raise ValueError(
                    "expected `words` beside `input_ids`, as this model's own tokenizer gives them, got none"
                )
            return words
        inside = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return inside.cumsum(1) * inside

    def _lines(self, input_ids: Tensor, owners: Tensor) -> tuple[list[int], list[Line]]:
        """Return the numbers of the rows with words, and these rows as words in pieces."""
        numbers = self.table[input_ids] if self.config.rows else input_ids
        lines = []
        for of_row, owner in zip(numbers, owners, strict=True):
            pieces = iter(of_row[owner > 0].tolist())
            lines.append([[*islice(pieces, count)] for count in owner.bincount()[1:].tolist()])
        kept = [row for row, line in enumerate(lines) if line]
        return kept, [lines[row] for row in kept]


def buffer_of(name: str) -> str:
    """Return the name of the buffer of an array of the judge: a name of a buffer has no dot."""
    return f"judge_{name.replace('.', '_')}"


def bio_logits(probs: Marginals, tags: NDArray[np.int64], later: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the log-probabilities (P,1+2X) of O, B- and I- by type, of BIOES marginals (P,K) and the decoded tags
    (P,), whose logits are lifted to be the highest. Nothing begins at the later pieces (P,) of a word."""
    outside, begin, inside, end, single = probs[:, :1], *(probs[:, first::4] for first in range(1, 5))
    begins, goes_on, later = begin + single, inside + end, later[:, None]
    pairs = np.stack([np.where(later, 0, begins), np.where(later, begins + goes_on, goes_on)], axis=2)
    logits = log_probs(np.concatenate([outside, pairs.reshape(len(probs), -1)], axis=1))
    places = np.arange(len(tags))
    chosen = bio_tags(tags)
    chosen += later[:, 0] & (chosen % 2 == 1)
    best = logits.max(1)
    led = logits.argmax(1) == chosen
    logits[places, chosen] = np.where(led, best, best + LIFT)
    return logits


def bio_tags(tags: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers (T,) among O, B-x, I-x, B-y, … of BIOES tags (T,): single entities begin, ends are inside."""
    kind, prefix = np.divmod(tags - 1, 4)
    found: NDArray[np.int64] = np.where(tags == 0, 0, 1 + 2 * kind + np.isin(prefix, (1, 2)))
    return found
