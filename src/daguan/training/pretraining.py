"""Pretraining of an encoder by one of the objectives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daguan.core.seeds import stream_seed
from daguan.data.batches.masking import Rows
from daguan.data.batches.packing import Blocks
from daguan.models.encoders.loading import Trained
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import objective_of
from daguan.nn.averaging import copy_into, lent
from daguan.nn.lookahead import current_weights, require_synchronised, with_lookahead
from daguan.nn.muon import hidden_matrices
from daguan.nn.optimisers import Group, LinearSchedule, Options, decayed_names
from daguan.nn.shares import whole_weights
from daguan.nn.tables import OPTIMISERS
from daguan.training import ranks
from daguan.training.batches_ahead import BatchesAhead
from daguan.training.checkpoints import with_prefix
from daguan.training.devices import matrix_dtype
from daguan.training.engine_settings import EngineSettings
from daguan.training.loop import Trainer
from daguan.training.objectives.base import HeldOut, Objective, Plan, Sums
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.shares import to_train
from daguan.training.threads import Replicas

CURVE_POINTS = 50


@dataclass(frozen=True, slots=True)
class Update:
    """The report after an update.

    Attributes:
        done: number of finished updates
        updates: number of all updates
        tokens: number of tokens read so far
        total_tokens: number of tokens to read
        loss: moving average of the loss, in nats
    """

    done: int
    updates: int
    tokens: int
    total_tokens: int
    loss: float


class Pretrainer(Trainer[Update]):
    """Pretrains the model of an objective. Iterate `fit(folder)`, then call `evaluate()` and `model.save()`.

    Attributes:
        rows: number of blocks in an update
        tokens_per_update: number of tokens in an update
        updates: number of all updates
        objective: the pretraining objective
        curve: tokens read and moving average of the loss, at about CURVE_POINTS updates
        whole: the model that is evaluated and saved; `model` is a copy of it in shares until the end if ranks keep
            these
    """

    model: Trained

    def __init__(
        self,
        architecture: str,
        encoder: EncoderSettings,
        settings: PretrainSettings,
        engine: EngineSettings,
        blocks: Blocks,
        vocabulary_size: int,
        seed: int,
        new_objective: Callable[[Plan], Objective] | None = None,
    ) -> None:
        """new_objective: what makes an objective in place of the table's."""
        self.settings = settings
        self.rows = settings.batch_size * settings.accumulation
        self.tokens_per_update = self.rows * encoder.max_length
        self.updates = max(1, round(settings.tokens / self.tokens_per_update))
        plan = Plan(
            architecture=architecture, encoder=encoder, blocks=blocks, vocabulary_size=vocabulary_size,
            settings=settings, rows=self.rows, updates=self.updates, seed=seed, engine=engine,
        )  # fmt: skip
        torch.manual_seed(stream_seed(seed, "pretrain-weights"))
        make = new_objective or OBJECTIVES[objective_of(architecture, settings.objective)].load()
        self.objective: Objective = make(plan)
        self.whole = self.objective.model.train()
        model = to_train(self.whole, engine, self.whole.layers)
        self.seed = seed
        self.replicas = self._replicas_of(model)
        self.batches = BatchesAhead(self._parts, plan.device)
        optimisers = pretraining_optimisers(model, settings, matrix_dtype(engine))
        require_synchronised("pretrain", settings, self.updates)
        super().__init__(model, optimisers, settings.checkpoint_seconds)
        self.schedule = LinearSchedule(self.optimisers, self.updates, settings.warmup)
        self.curve: list[tuple[int, float]] = []

    def steps(self) -> Iterator[Update]:
        yield from super().steps()
        copy_into(
            self.whole.to(self.objective.plan.device), whole_weights(current_weights(self.model, self.optimisers))
        )
        if self.model is not self.whole:
            self.model = self.whole
            self.replicas = self._replicas_of(self.model)

    @property
    def finished(self) -> bool:
        return self.done == self.updates

    def step(self) -> Tensor:
        self.schedule.set(self.done)
        parts = self.batches.of(self.done)
        numbers = ranks.own(range(len(parts) * ranks.ranks()))  # within the update
        losses = self.replicas.map(self._train_on, [*zip(numbers, parts, strict=False)])
        self.replicas.gather_gradients()
        ranks.sum_gradients(self.model)
        self.update_weights(self.settings.clip)
        return sum(losses, torch.zeros((), dtype=torch.float64, device=self.objective.plan.device))

    def close(self) -> None:
        self.batches.close()

    def _parts(self, update: int) -> Sequence[Rows]:
        """Returns this rank's parts of an update's batch, for a GPU in pinned memory."""
        at_a_time = len(self.replicas.models) * ranks.ranks()
        own = ranks.own(self.objective.batch(update).split(at_a_time * self.settings.accumulation))
        return own if self.objective.plan.device.type == "cpu" else [part.pinned() for part in own]

    def _replicas_of(self, model: Trained) -> Replicas:
        """Returns a replica for each thread, but one alone with dropout: threads share a stream of random numbers."""
        return Replicas(model, 1 if self.settings.dropout else self.settings.batch_size)

    def _train_on(self, model: nn.Module, numbered: tuple[int, Rows]) -> Tensor:
        """Compute the gradients of the part's share of the update's mean loss and return that share.

        The dropout masks depend on the numbers of update and part alone.
        """
        number, part = numbered
        if self.settings.dropout:
            torch.manual_seed(stream_seed(self.seed, "pretrain-dropout", self.done, number))
        loss = self.objective.loss(model, part)
        torch.autograd.backward(loss)
        return loss.detach().double()

    def after_update(self) -> Update:
        tokens = self.done * self.tokens_per_update
        if self.done % max(1, self.updates // CURVE_POINTS) == 0:
            self.read_losses()
            self.curve.append((tokens, round(self.loss, 4)))
        return Update(self.done, self.updates, tokens, self.updates * self.tokens_per_update, self.loss)

    def evaluate(self) -> dict[str, HeldOut]:
        """Returns loss and accuracy on the held-out text, by name; text and masks are the same in each call."""
        weights = whole_weights(current_weights(self.model, self.optimisers))
        with lent(self.whole.to(self.objective.plan.device), weights):
            return self._evaluate(self.replicas if self.model is self.whole else Replicas(self.whole, 1))

    def _evaluate(self, replicas: Replicas) -> dict[str, HeldOut]:
        total: dict[str, Sums] = {}
        for model in replicas.models:
            model.train(False)
        for measure, parts in self.objective.evaluations():
            measured = replicas.map(torch.no_grad()(measure), ranks.own(parts))
            for found in ranks.gathered([{name: astuple(one) for name, one in sums.items()} for sums in measured]):
                for sums in found:
                    total |= {name: total.get(name, Sums()) + Sums(*one) for name, one in sums.items()}
        for model in replicas.models:
            model.train()
        return {name: sums.mean for name, sums in total.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()
        self.objective.gather()
        return tensors | with_prefix("objective", self.objective.state()), values | {"curve": self.curve}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().restore(tensors, values)
        for name, carried in self.objective.state().items():
            carried.copy_(tensors[f"objective/{name}"])
        self.curve = [(tokens, loss) for tokens, loss in values["curve"]]


def pretraining_optimisers(lm: Trained, settings: PretrainSettings, precision: torch.dtype) -> list[Optimizer]:
    """Returns the optimisers that the settings name, for all parameters; ε is 1e-6 in the Adam family (RoBERTa's)."""
    decayed = decayed_names(lm)
    groups = [
        Group(
            [parameter for name, parameter in lm.named_parameters() if (name in decayed) == decays],
            settings.learning_rate,
            settings.weight_decay if decays else 0.0,
            settings.muon_learning_rate,
        )
        for decays in (True, False)
    ]
    options = Options(settings, 0.9, 1e-6, hidden_matrices(*lm.encoders), precision)
    optimisers: list[Optimizer] = OPTIMISERS[settings.optimiser].load()(groups, options)
    return with_lookahead(optimisers, settings)
