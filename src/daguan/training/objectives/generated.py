"""Objectives on text in which a generator replaced tokens: replaced-token detection and all-tokens masked LM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from daguan.core.errors import ConfigError
from daguan.core.seeds import stream
from daguan.data.batches.masking import Masked
from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.loading import MaskedLm, Trained
from daguan.models.pretraining_heads import AllTokens, Generator, ReplacedTokens, copy_or_predict, likeliest
from daguan.training.objectives.base import Measure, Plan, Sums, sums_of_guesses
from daguan.training.objectives.masked_lm import MlmObjective


@dataclass(frozen=True)
class Drawn(Masked):
    """A masked batch with the generator's random numbers.

    Attributes:
        draws: (B,M), uniform in [0,1); they depend on the update alone.
    """

    draws: NDArray[np.float32]

    @classmethod
    def of(cls, masked: Masked, rng: np.random.Generator) -> Drawn:
        draws = rng.random(masked.positions.shape, dtype=np.float32)
        return cls(masked.inputs, masked.positions, masked.labels, draws)


@dataclass(frozen=True, slots=True)
class Guesses:
    """The outputs of one part.

    Attributes:
        generator: the generator's logits (B·M,V).
        positions, labels: the chosen places and their tokens, both (B,M).
        text: the original text (B,T).
        read: the text (B,T) with the generator's tokens.
        answers: the model's own logits at every place.
    """

    generator: Tensor
    positions: Tensor
    labels: Tensor
    text: Tensor
    read: Tensor
    answers: tuple[Tensor, ...]


class GeneratedObjective(MlmObjective):
    """A generator learns as a masked language model and samples tokens for the chosen places; the model predicts at
    every place of the resulting text. The loss is the generator's mean loss plus `weight` times the model's."""

    name: str
    weight = 1.0

    def __init__(self, plan: Plan) -> None:
        masking = plan.settings.masking.replace(keep=0.0, random=0.0)  # all chosen places read [MASK]: §3.1
        plan = replace(plan, settings=plan.settings.replace(masking=masking))
        super().__init__(plan)
        if plan.vocabulary_size == len(SPECIALS):
            raise ConfigError(f"pretrain.objective: expected mlm with a vocabulary of specials alone, got {self.name}")
        assert isinstance(self.model, MaskedLm)
        generator = Generator(plan.architecture, plan.encoder, plan.settings.generator_layers, self.model)
        plan.prepared(generator.lm)
        self.model = self.new_model(generator, self.model).to(plan.device)

    def new_model(self, generator: Generator, lm: MaskedLm) -> Trained:
        raise NotImplementedError

    def losses(self, guesses: Guesses) -> Tensor:
        """Return the losses (B,T) of the model's answers, in nats."""
        raise NotImplementedError

    def right(self, guesses: Guesses) -> Tensor:
        """Return which of the model's answers (B,T) are right."""
        raise NotImplementedError

    def batch(self, update: int) -> Drawn:
        return Drawn.of(super().batch(update), stream(self.plan.seed, "generator", update))

    def loss(self, model: nn.Module, part: Masked) -> Tensor:
        guesses = self.guess(model, part)
        of_model = self.losses(guesses).sum() / (self.plan.rows * guesses.text.shape[1])
        return self.loss_of_tokens(guesses.generator, guesses.labels) + self.weight * of_model

    def guess(self, model: nn.Module, part: Masked) -> Guesses:
        assert isinstance(part, Drawn)
        inputs, positions, labels, draws = self.plan.tensors(part.inputs, part.positions, part.labels, part.draws)
        with self.plan.autocast():
            generator, read, *answers = model(inputs, positions, draws)
        text = inputs.scatter(1, positions, labels)
        return Guesses(generator.float(), positions, labels, text, read, tuple(answer.float() for answer in answers))

    def evaluations(self) -> Iterator[tuple[Measure, Sequence[Masked]]]:
        parts = [
            Drawn.of(self.plan.mask_held_out(ids, low), stream(self.plan.seed, "held-out-generator", low))
            for low, ids in self.held_out_rows()
        ]
        yield self.measure, parts

    def measure(self, model: nn.Module, part: Masked) -> dict[str, Sums]:
        """Return the sums of the generator, of the model at all places, and of the model at the chosen places."""
        guesses = self.guess(model, part)
        losses, right = self.losses(guesses), self.right(guesses)
        return {
            "generator": sums_of_guesses(guesses.generator, guesses.labels),
            self.name: Sums.of(losses, right),
            "chosen": Sums.of(losses.gather(1, guesses.positions), right.gather(1, guesses.positions)),
        }


class ReplacedObjective(GeneratedObjective):
    """`rtd`: replaced-token detection (ELECTRA, arXiv 2003.10555 §3.1). A sampled token that is the original counts as
    original."""

    name = "rtd"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.weight = plan.settings.replaced_weight

    def new_model(self, generator: Generator, lm: MaskedLm) -> ReplacedTokens:
        return ReplacedTokens(generator, lm)

    def losses(self, guesses: Guesses) -> Tensor:
        (replaced,) = guesses.answers
        targets = (guesses.read != guesses.text).float()
        return binary_cross_entropy_with_logits(replaced, targets, reduction="none")

    def right(self, guesses: Guesses) -> Tensor:
        (replaced,) = guesses.answers
        return (replaced > 0) == (guesses.read != guesses.text)


class AllTokensObjective(GeneratedObjective):
    """`all_tokens`: the original token at every place of the generator's text (ELECTRA, arXiv 2003.10555 §3.4, with its
    copy mechanism). It projects every place to the vocabulary, so it costs several times as much as `mlm`."""

    name = "all_tokens"

    def new_model(self, generator: Generator, lm: MaskedLm) -> AllTokens:
        return AllTokens(generator, lm)

    def losses(self, guesses: Guesses) -> Tensor:
        logits, copy = guesses.answers
        flat = -copy_or_predict(logits, copy, guesses.read.flatten(), guesses.text.flatten())
        return flat.view_as(guesses.text)

    def right(self, guesses: Guesses) -> Tensor:
        logits, copy = guesses.answers
        return likeliest(logits, copy, guesses.read.flatten()).view_as(guesses.text) == guesses.text
