"""Fine-tuning of one tagger on one fold."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daguan.core.seeds import stream, stream_seed
from daguan.core.types import Score, Sentence
from daguan.data.batches.collate import Batch, Example, bucketed_order, collate
from daguan.data.batches.windows import training_parts
from daguan.data.decoding import decode_lines
from daguan.data.span_score import span_score
from daguan.models.tagger import Tagger
from daguan.nn.adversary import Adversary, moved
from daguan.nn.averaging import WeightAverage, copy_into, lent
from daguan.nn.lookahead import current_weights, require_synchronised
from daguan.nn.optimisers import Schedule
from daguan.nn.shares import placed_like, whole_weights
from daguan.nn.tables import SCHEDULES
from daguan.training import ranks
from daguan.training.batches_ahead import BatchesAhead
from daguan.training.checkpoints import under_prefix, with_prefix
from daguan.training.devices import autocast, find_device, length_multiple, matrix_dtype
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.loop import Trainer
from daguan.training.optimisation import build_adversary, fine_tuning_optimisers, freeze
from daguan.training.prediction import TrainedTagger, annotate
from daguan.training.shares import keeps_shares, to_train


@dataclass(frozen=True, slots=True)
class Update:
    """The report after an update.

    Attributes:
        tokens: number of tokens trained on so far
        total_tokens: number of tokens to train on
        loss: moving average of the loss, in nats a token
        f1s: held-out F1 of each evaluation so far, the one after the end excepted
    """

    tokens: int
    total_tokens: int
    loss: float
    f1s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one update.

    Attributes:
        batches: those of this rank, by their numbers within the update.
        tokens: number of tokens of the lines of all ranks
        weight: the factor of the loss
        counting: the numbers of the batches that are this rank's own; it computes others to no effect, where all ranks
            must compute equally often.
    """

    batches: Mapping[int, Batch]
    tokens: int
    weight: float
    counting: Collection[int]

    def to(self, device: torch.device) -> Lines:
        return replace(self, batches={number: batch.to(device) for number, batch in self.batches.items()})


@dataclass(frozen=True, slots=True)
class PseudoLines:
    """Pseudo-labelled lines beside the gold ones.

    Attributes:
        lines: those of one text in a row, one for each draw of its labels.
        weight: the factor of their gradients.
        longest: the most updates, as a multiple of those for the gold lines alone.
        draws: how often the labels of a text were drawn.
    """

    lines: Sequence[Sentence] = ()
    weight: float = 1.0
    longest: float = math.inf
    draws: int = 1


NO_PSEUDO_LINES = PseudoLines()


class TaggerTrainer(Trainer[Update]):
    """Fine-tunes a tagger. Iterate `fit(folder)`; then the model has the last averaged weights.

    The held-out lines choose nothing, as they are scored afterwards: evaluations before the end only draw a curve. An
    epoch contains all lines of `train` and one draw of all pseudo-labelled lines, in separate batches.

    Attributes:
        lost_entities: number of training entities that are longer than the window
        cut_tokens: number of training tokens that have more pieces than the window holds
        gold_examples: number of examples from `train`, which are the first in `examples`
        drawn: the places in `examples` of each draw of the pseudo-labelled lines
        updates: number of all updates
        average: the averaged weights
        evaluate_after: numbers of updates after which the held-out lines are evaluated
        f1s: held-out F1 of the averaged weights at each evaluation so far
        tokens: number of tokens trained on so far
        epoch_tokens: number of tokens of the first epoch
    """

    model: Tagger

    def __init__(
        self,
        trained: TrainedTagger,
        settings: TrainSettings,
        engine: EngineSettings,
        train: Sequence[Sentence],
        held_out: Sequence[Sentence],
        seed: int,
        pseudo: PseudoLines = NO_PSEUDO_LINES,
        updates: int = 0,
    ) -> None:
        """updates: number of updates for the lines of `train` alone; 0 for those of `settings.epochs`. Pseudo-labelled
        lines add theirs in proportion."""
        self.trained, self.settings, self.engine, self.seed = trained, settings, engine, seed
        self.device = find_device(engine)
        model = trained.tagger.to_device(self.device)
        self.batches = BatchesAhead(self._lines, self.device)
        self.held_out, self.pseudo_weight = held_out, pseudo.weight
        self.examples, self.lost_entities = _examples(train, trained)
        self.cut_tokens = sum(map(trained.cut_tokens, train))
        self.gold_examples, self.drawn = len(self.examples), list[range]()
        for draw in range(pseudo.draws):
            of_draw, _ = _examples(pseudo.lines[draw :: pseudo.draws], trained)
            self.drawn.append(range(len(self.examples), len(self.examples) + len(of_draw)))
            self.examples += of_draw
        freeze(model, settings.frozen_layers)
        model = to_train(model, engine, model.encoder.depth.layers, entries=("loss",))
        optimisers = fine_tuning_optimisers(model, settings, matrix_dtype(engine))
        super().__init__(model, optimisers, settings.checkpoint_seconds)
        self.adversary = build_adversary(self.model, settings)
        self._thawed = [parameter for parameter in self.model.encoder.parameters() if parameter.requires_grad]
        first = self._epoch_order(0)
        self.updates_per_epoch = len(first)
        self.epoch_tokens = sum(len(self.examples[i]) for indices in first for i in indices)
        alone = max(1, math.ceil(self.gold_examples / (settings.batch_size * settings.accumulation)))
        times = min(pseudo.longest, self.updates_per_epoch / alone)
        self.updates = round(times * (updates or settings.epochs * alone))
        require_synchronised("train", settings, self.updates)
        new_schedule = SCHEDULES[settings.schedule].load()
        self.schedule: Schedule = new_schedule(self.optimisers, self.updates, settings.warmup)
        swa_start = round(settings.swa_start * self.updates)
        self.average = WeightAverage(self._weights(), settings.averaging, settings.ema_decay, swa_start)
        self.evaluate_after = {
            round(self.updates * i / settings.evaluations) for i in range(1, settings.evaluations if held_out else 1)
        }
        self.f1s: list[float] = []
        self.tokens = 0

    def steps(self) -> Iterator[Update]:
        yield from super().steps()
        copy_into(self.trained.tagger.to(self.device), whole_weights(self.average.shadow))
        self.model = self.trained.tagger

    @property
    def finished(self) -> bool:
        return self.done == self.updates

    def step(self) -> Tensor:
        lines = self.batches.of(self.done).to(self.device)
        self.tokens += lines.tokens
        return self._update(lines)

    def close(self) -> None:
        self.batches.close()

    def after_update(self) -> Update:
        if self.done in self.evaluate_after:
            with lent(self.trained.tagger.to(self.device), whole_weights(self.average.shadow)):
                self.f1s.append(self.evaluate().f1)
            if self.model is not self.trained.tagger:
                self.trained.tagger.cpu()
        expected = round(self.updates / self.updates_per_epoch * self.epoch_tokens)
        total = self.tokens if self.finished else max(self.tokens + 1, expected)
        return Update(self.tokens, total, self.loss, tuple(self.f1s))

    def _lines(self, update: int) -> Lines:
        epoch, within = divmod(update, self.updates_per_epoch)
        if getattr(self, "_order_epoch", None) != epoch:
            self._order_epoch = epoch
            self._order = self._epoch_order(epoch)
        indices = self._order[within % len(self._order)]  # a draw may be cut into a part more or less
        count = min(self.settings.accumulation, len(indices))
        weight = 1.0 if indices[0] < self.gold_examples else self.pseudo_weight
        own = ranks.own(range(count))
        idle = [0] * (-(-count // ranks.ranks()) - len(own)) if keeps_shares(self.engine) else []
        batches = {number: self._batch(indices[number::count]) for number in (*own, *idle)}
        return Lines(batches, sum(len(self.examples[i]) for i in indices), weight, own)

    def _batch(self, indices: NDArray[np.int64]) -> Batch:
        batch = collate([self.examples[i] for i in indices], length_multiple(self.engine))
        return batch if self.device.type == "cpu" else batch.pinned()

    def _epoch_order(self, epoch: int) -> list[NDArray[np.int64]]:
        """Returns the lines of each update of an epoch: pseudo-labelled ones at random places among the others."""
        lengths, gold = [example.width for example in self.examples], self.gold_examples
        size, streams = self.settings.batch_size * self.settings.accumulation, partial(stream, self.seed)
        order = bucketed_order(lengths[:gold], size, streams("batch-order", epoch))
        draw = self.drawn[epoch % len(self.drawn)]
        if not draw:
            return order
        pseudo = bucketed_order(lengths[draw.start : draw.stop], size, streams("pseudo-batch-order", epoch))
        order += [indices + draw.start for indices in pseudo]
        return [order[i] for i in streams("batch-mixing", epoch).permutation(len(order))]

    def _update(self, lines: Lines) -> Tensor:
        self.model.train()
        self._freeze_or_thaw_encoder()
        self.schedule.set(self.done)
        loss = self._compute_gradients(lines)
        if self.adversary is not None and self.done >= self.settings.adversary_start * self.updates:
            self._attack(self.adversary, lines)
        # the limit is multiplied by the weight as the gradient is, so that clipping does not undo the weight
        self.update_weights(lines.weight * self.settings.clip)
        self.average.update(self._weights())
        return loss

    def _freeze_or_thaw_encoder(self) -> None:
        """Freeze the encoder during the first `frozen_epochs`: optimisers skip parameters without a gradient."""
        frozen = self.done < self.settings.frozen_epochs * self.updates_per_epoch
        for parameter in self._thawed:
            parameter.requires_grad_(not frozen)

    def _compute_gradients(self, lines: Lines) -> Tensor:
        """Compute the gradients of the loss times the lines' weight, and return this rank's share of the loss (nats a
        token).

        The dropout masks depend on the numbers of update and batch alone, so not on the number of ranks.
        """
        share = torch.zeros((), dtype=torch.float64, device=self.device)
        for number, batch in lines.batches.items():
            torch.manual_seed(stream_seed(self.seed, "dropout", self.done, number))
            with autocast(self.engine):
                loss = self.model.loss(batch) / lines.tokens * (number in lines.counting)
            torch.autograd.backward(lines.weight * loss)
            share += loss.detach()
        ranks.sum_gradients(self.model)
        return share

    def _attack(self, adversary: Adversary, lines: Lines) -> None:
        """Compute gradients at the weights that the adversary has moved; it moves none while these are frozen."""
        moves = adversary.moves()
        if not moves:
            return
        before = {parameter: parameter.grad for parameter in self.model.parameters() if parameter.grad is not None}
        self.clear_gradients()
        with moved(moves):
            self._compute_gradients(lines)
        for parameter, grad in before.items() if adversary.adds else ():
            parameter.grad = grad if parameter.grad is None else parameter.grad.add_(grad)

    def _weights(self) -> dict[str, Tensor]:
        return current_weights(self.model, self.optimisers)

    def evaluate(self) -> Score:
        """Returns the span score on all held-out lines."""
        answers = self.trained.marginals(self.held_out, self.engine)
        return span_score(annotate(self.held_out, decode_lines(answers, self.trained.scheme)), self.held_out)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()
        tensors |= with_prefix("average", whole_weights(self.average.shadow))
        return tensors, values | {"tokens": self.tokens, "f1s": self.f1s}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().restore(tensors, values)
        for name, weight in under_prefix("average", tensors).items():
            self.average.shadow[name].copy_(placed_like(weight, self.average.shadow[name]))
        self.average.updates = self.done
        self.tokens, self.f1s = values["tokens"], values["f1s"]


def _examples(sentences: Sequence[Sentence], trained: TrainedTagger) -> tuple[list[Example], int]:
    """Returns the lines as examples no longer than the window, and the number of entities longer than it."""
    parts = [training_parts(line, trained.costs(line), trained.window, trained.overlap) for line in sentences]
    examples = [trained.example(part, trained.scheme) for line, _ in parts for part in line]
    return examples, sum(lost for _, lost in parts)
