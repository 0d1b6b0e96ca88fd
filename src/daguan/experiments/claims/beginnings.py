"""A generation task on real text: an encoder reads a news line without its first tokens, a decoder writes these.

M tokens to write, from the R tokens that follow; V vocabulary, B lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from daguan.core.seeds import stream
from daguan.core.types import Sentence
from daguan.data.vocabulary import CLS, Vocabulary
from daguan.models.encoders.mass import MassForConditionalGeneration
from daguan.nn.optimisers import Group, LinearSchedule, Options, new_adamw

WRITTEN, READ = 8, 24  # M and R
WARMUP, CLIP = 0.1, 1.0
ROWS = 128  # in a batch of the evaluation


@dataclass(frozen=True)
class Beginnings:
    """Lines as tensors.

    Attributes:
        rests: (B,R+1) [CLS] and the tokens after the beginning.
        targets: (B,M) the beginnings.
    """

    rests: Tensor
    targets: Tensor

    @classmethod
    def of(cls, lines: Sequence[Sentence], vocabulary: Vocabulary) -> Beginnings:
        """Returns the lines that are long enough."""
        long = [line.tokens[: WRITTEN + READ] for line in lines if len(line.tokens) >= WRITTEN + READ]
        ids = torch.tensor([vocabulary.encode(tokens) for tokens in long]).view(-1, WRITTEN + READ)
        begin = torch.full((len(long), 1), CLS)
        return cls(torch.cat([begin, ids[:, WRITTEN:]], dim=1), ids[:, :WRITTEN])

    def __len__(self) -> int:
        return len(self.rests)

    def logits(self, model: MassForConditionalGeneration, rows: Tensor) -> Tensor:
        """Return logits (B,M,V) of these rows' tokens, each given those before it."""
        targets = self.targets[rows]
        fed = torch.cat([torch.full_like(targets[:, :1], CLS), targets[:, :-1]], dim=1)
        logits: Tensor = model(self.rests[rows], fed, torch.arange(WRITTEN).expand_as(fed)).logits
        return logits


def fine_tune(
    model: MassForConditionalGeneration, lines: Beginnings, epochs: int, batch_size: int, rate: float, seed: int
) -> None:
    """Train all parts of the model by AdamW, whose rate rises and then falls linearly."""
    optimisers = new_adamw([Group(list(model.parameters()), rate, 0.01, rate)], Options())
    each = len(lines) // batch_size
    schedule = LinearSchedule(optimisers, epochs * each, WARMUP)
    model.train()
    for update in range(epochs * each):
        epoch, place = divmod(update, each)
        order = stream(seed, "beginnings", epoch).permutation(len(lines))
        rows = torch.from_numpy(order[place * batch_size : (place + 1) * batch_size])
        schedule.set(update)
        loss = cross_entropy(lines.logits(model, rows).flatten(0, 1), lines.targets[rows].flatten())
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()


@torch.no_grad()
def perplexity(model: MassForConditionalGeneration, lines: Beginnings) -> float:
    """Returns the perplexity of the beginnings."""
    model.train(False)
    total = 0.0
    for rows in _batches(len(lines)):
        logits = lines.logits(model, rows).flatten(0, 1)
        total += cross_entropy(logits, lines.targets[rows].flatten(), reduction="sum").item()
    return math.exp(total / lines.targets.numel())


@torch.no_grad()
def written(model: MassForConditionalGeneration, lines: Beginnings) -> Tensor:
    """Returns (B,M) the beginnings that greedy search writes."""
    model.train(False)
    found = torch.full((len(lines), WRITTEN), CLS)
    for rows in _batches(len(lines)):
        fed = torch.full((len(rows), 1), CLS)
        for step in range(WRITTEN):
            places = torch.arange(step + 1).expand_as(fed)
            last = model(lines.rests[rows], fed, places).logits[:, -1].argmax(1)
            found[rows, step] = last
            fed = torch.cat([fed, last[:, None]], dim=1)
    return found


def _batches(count: int) -> list[Tensor]:
    """Returns the numbers of all lines, ROWS at a time."""
    return [torch.arange(low, min(low + ROWS, count)) for low in range(0, count, ROWS)]


def rouge_l(ours: Tensor, targets: Tensor) -> float:
    """Returns the mean F1 of ROUGE-L (Lin 2004) for sequences (B,M): as all have M tokens, the mean length of the
    longest common subsequence, divided by M."""
    rows = zip(ours.tolist(), targets.tolist(), strict=True)
    return float(np.mean([common(one, other) / len(other) for one, other in rows]))


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """Returns the length of the longest common subsequence."""
    lengths = [0] * (len(other) + 1)
    for item in one:
        before = 0
        for place, target in enumerate(other, start=1):
            before, lengths[place] = (
                lengths[place],
                before + 1 if item == target else max(lengths[place - 1 : place + 1]),
            )
    return lengths[-1]
