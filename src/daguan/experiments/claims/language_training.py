"""Trains a language model on contiguous text, segment after segment, and measures it by the context that it sees."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daguan.experiments.claims.language_models import LanguageModel, State
from daguan.nn.optimisers import Group, LinearSchedule, Options, decayed_names, new_adamw
from daguan.training.loop import Trainer
from daguan.training.threads import Replicas

WARMUP, CLIP, DECAY = 0.05, 1.0, 0.01
EVALUATED = 8  # streams that are read side by side
WINDOWS = 256  # in a batch
LEAST_SECONDS = 0.5  # of a measurement of speed


class LanguageTrainer(Trainer[int]):
    """Trains by AdamW; the rate rises and then falls linearly.

    Attributes:
        streams: (B,N) the text, of which each row has its own stretch.
        memory: places that the model remembers; with `carried` false it forgets everything after each segment.
    """

    model: LanguageModel

    def __init__(
        self,
        model: LanguageModel,
        ids: Tensor,
        rows: int,
        segment: int,
        memory: int,
        carried: bool,
        updates: int,
        rate: float,
    ) -> None:
        self.streams = ids[: len(ids) // rows * rows].view(rows, -1)
        self.segment, self.memory, self.carried, self.updates = segment, memory, carried, updates
        self.segments = (self.streams.shape[1] - 1) // segment
        self.replicas = Replicas(model, rows)
        self.parts = torch.arange(rows).tensor_split(len(self.replicas.models))
        self.states: list[State] = []
        named, decayed = dict(model.named_parameters()), decayed_names(model)
        groups = [
            Group([p for name, p in named.items() if (name in decayed) == decays], rate, DECAY * decays, rate)
            for decays in (True, False)
        ]
        super().__init__(model.train(), new_adamw(groups, Options()), math.inf)
        self.schedule = LinearSchedule(self.optimisers, updates, WARMUP)

    @property
    def finished(self) -> bool:
        return self.done == self.updates

    def step(self) -> Tensor:
        place = self.done % self.segments
        if place == 0 or not self.carried:
            self.states = [self.model.empty(len(part), self.memory) for part in self.parts]
        self.schedule.set(self.done)
        low = place * self.segment
        self._ids = self.streams[:, low : low + self.segment + 1]
        losses = self.replicas.map(self._train_on, range(len(self.parts)))
        self.replicas.gather_gradients()
        self.update_weights(CLIP)
        return torch.stack(losses).sum()

    def after_update(self) -> int:
        return self.done

    def _train_on(self, model: nn.Module, part: int) -> Tensor:
        """Compute the gradients of a part's share of the mean loss and return that share."""
        assert isinstance(model, LanguageModel)
        ids = self._ids[self.parts[part]]
        hidden, self.states[part] = model.follow(ids[:, :-1], self.states[part])
        loss = model.loss(hidden, ids[:, 1:]) / (self._ids.shape[0] * self.segment)
        torch.autograd.backward(loss)
        return loss.detach().double()


@torch.no_grad()
def perplexity(model: LanguageModel, ids: Tensor, segment: int, memory: int, after: int) -> float:
    """Returns the perplexity of text (N,) in segments with a memory; the first `after` tokens of each of EVALUATED
    stretches are read and not counted."""
    streams = ids[: len(ids) // EVALUATED * EVALUATED].view(EVALUATED, -1)
    state, loss, count = model.train(False).empty(EVALUATED, memory), 0.0, 0
    for low in range(0, streams.shape[1] - segment, segment):
        if memory == 0 and model.longest:  # it cannot go on
            state = model.empty(EVALUATED, 0)
        hidden, state = model.follow(streams[:, low : low + segment], state)
        if low >= after:
            labels = streams[:, low + 1 : low + segment + 1].flatten()
            loss += cross_entropy(model.predict(hidden).flatten(0, 1), labels, reduction="sum").item()
            count += len(labels)
    return math.exp(loss / count)


@torch.no_grad()
def losses_with(
    model: LanguageModel, ids: Tensor, places: Tensor, context: int, segment: int, remembers: bool
) -> NDArray[np.float64]:
    """Returns the losses (P,) in nats of the tokens at places (P,), each from the `context` tokens before it alone.

    remembers: whether a model that counts places from a segment's start may carry on; if not it sees one segment.
    """
    seen = min(context, model.longest) if model.longest and not remembers else context
    windows = places.unsqueeze(1) + torch.arange(-seen, 0)
    found = []
    for part in windows.split(WINDOWS):  # type: ignore[no-untyped-call]
        state = model.train(False).empty(len(part), seen)
        for low in range(-(-seen // segment) * segment, 0, -segment):
            hidden, state = model.follow(ids[part[:, max(0, seen - low) : seen - low + segment]], state)
        labels = ids[part[:, -1] + 1]
        found.append(cross_entropy(model.predict(hidden[:, -1]), labels, reduction="none"))
    return torch.cat(found).double().numpy()


@torch.no_grad()
def times_as_fast(model: LanguageModel, ids: Tensor, segment: int, context: int) -> float:
    """Returns how many times as fast evaluation with a memory of `context` tokens is as reading as many tokens again
    for each one that is predicted (table 9), in CPU time."""
    model.train(False)
    _, state = model.follow(ids[None, :context], model.empty(1, context))

    def with_memory() -> int:
        hidden, _ = model.follow(ids[None, context : context + segment], state)
        model.predict(hidden)
        return segment

    def without_memory() -> int:
        hidden, _ = model.follow(ids[None, :context], model.empty(1, 0))
        model.predict(hidden[:, -1])
        return 1

    fast, slow = (_rate(way) for way in (with_memory, without_memory))
    return fast / slow


def _rate(way: object) -> float:
    """Returns the tokens predicted in a CPU second."""
    assert callable(way)
    start, tokens = time.process_time(), 0
    while time.process_time() - start < LEAST_SECONDS:
        tokens += way()
    return tokens / (time.process_time() - start)


def spread(low: int, high: int, count: int) -> Sequence[int]:
    """Returns `count` places from `low` to `high`, evenly spaced."""
    return [round(place) for place in np.linspace(low, high - 1, count)]
