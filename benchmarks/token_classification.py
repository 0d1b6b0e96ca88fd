"""Hugging Face's loop for token classification, as its course has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from daguan.core.seeds import stream
from daguan.core.types import Sentence, Span, labels_of
from daguan.data.batches.collate import bucketed_order
from daguan.training.devices import autocast
from daguan.training.engine_settings import EngineSettings

BATCH, LENGTH = 16, 128  # lines; pieces
IGNORED = -100
ENGINE = EngineSettings()


@dataclass(frozen=True)
class Task:
    """What a model is trained on and scored on.

    Attributes:
        texts: what a token of the contest stands for.
    """

    train: Sequence[Sentence]
    test: Sequence[Sentence]
    texts: dict[str, str]


class Peer:
    """Hugging Face's loop for token classification."""

    def __init__(self, encoder: Path, task: Task, rate: float, seed: int) -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        torch.manual_seed(seed)
        self.task, self.seed = task, seed
        self.tokenizer = AutoTokenizer.from_pretrained(encoder, add_prefix_space=True)
        self.classes = ["O", *(f"{edge}-{label}" for label in labels_of(task.train) for edge in "BI")]
        self.model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=len(self.classes))
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=rate)
        self.examples = [self._example(line) for line in task.train]
        self.rate, self.batches = rate, iter(())

    def _words(self, line: Sentence) -> list[str]:
        return [self.task.texts.get(token, token) for token in line.tokens]

    def _example(self, line: Sentence) -> tuple[list[int], list[int]]:
        cut = self.tokenizer(self._words(line), is_split_into_words=True, truncation=True, max_length=LENGTH)
        names = ["O"] * len(line.tokens)
        for span in line.gold:
            names[span.start : span.stop] = [f"B-{span.label}", *[f"I-{span.label}"] * (span.stop - span.start - 1)]
        owners = cut.word_ids()
        firsts = [owner is not None and owner != before for owner, before in zip(owners, [None, *owners], strict=False)]
        labels = [self.classes.index(names[o]) if f else IGNORED for o, f in zip(owners, firsts, strict=True)]
        return cut["input_ids"], labels

    def train(self, updates: int) -> None:
        for update in range(updates):
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate * (1 - update / updates)
            self.step()

    def step(self) -> None:
        """Do an update on the next lines."""
        self.model.train()
        indices = next(self.batches, None)
        if indices is None:
            lengths = [len(ids) for ids, _ in self.examples]
            self.epoch = getattr(self, "epoch", -1) + 1
            self.batches = iter(bucketed_order(lengths, BATCH, stream(self.seed, "peer", self.epoch)))
            indices = next(self.batches)
        chosen = [self.examples[i] for i in indices]
        width = max(len(ids) for ids, _ in chosen)
        ids, labels = (
            torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])
            for rows, fill in zip(zip(*chosen, strict=True), (self.tokenizer.pad_token_id, IGNORED), strict=True)
        )
        mask = torch.arange(width) < torch.tensor([[len(row)] for row, _ in chosen])
        with autocast(ENGINE):
            logits = self.model(ids, attention_mask=mask.long()).logits
        self.optimiser.zero_grad()
        torch.autograd.backward(cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()

    @torch.no_grad()
    def spans(self, lines: Sequence[Sentence]) -> list[tuple[Span, ...]]:
        """Returns the spans of the classes with the highest logits; words that were cut off are in none."""
        self.model.eval()
        found = []
        for line in lines:
            words = self._words(line)
            cut = self.tokenizer(
                words, is_split_into_words=True, truncation=True, max_length=LENGTH, return_tensors="pt"
            )
            with autocast(ENGINE):
                best = self.model(**cut).logits[0].argmax(1).tolist()
            names = ["O"] * len(words)
            for place, owner in reversed(list(enumerate(cut.word_ids()))):
                if owner is not None:
                    names[owner] = self.classes[best[place]]
            found.append(spans_of(names))
        return found


def spans_of(names: Sequence[str]) -> tuple[Span, ...]:
    """Returns the entities of BIO tags; an I- without a B- of its label before it begins one, as seqeval counts it."""
    spans: list[Span] = []
    for place, name in enumerate(names):
        edge, _, label = name.partition("-")
        before = spans[-1] if spans else None
        if edge == "I" and before and before.stop == place and before.label == label:
            spans[-1] = Span(before.start, place + 1, label)
        elif edge != "O":
            spans.append(Span(place, place + 1, label))
    return tuple(spans)
