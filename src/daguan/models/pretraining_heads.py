"""Pretraining-only heads and generators, discarded afterwards.

`save` writes the encoder alone, with its decoder if it has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, logsigmoid

from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.loading import MaskedLm, Trained, save_model
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.scans import running_sums
from daguan.nn.transformer_xl import Memory


class WithLm(Trained):
    """A language model with more parts, which are not saved."""

    lm: MaskedLm

    @property
    def encoders(self) -> list[nn.Module]:
        return self.lm.encoders

    def save(self, folder: Path) -> None:
        self.lm.save(folder)


class SentenceLm(WithLm):
    """A masked language model that also classifies pairs of segments, from [CLS] through a pooler as BERT's."""

    def __init__(self, lm: MaskedLm) -> None:
        super().__init__()
        width = lm.model.config.hidden_size
        self.lm = lm
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, inputs: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of tokens (B·M,V) and of pairs (B,2) for inputs (B,T) and positions (B,M)."""
        hidden = self.lm.read(inputs)
        pair: Tensor = self.classifier(torch.tanh(self.pooler(hidden[:, 0])))
        return self.lm.predict(hidden, positions), pair


class Generator(nn.Module):
    """A small masked language model that samples tokens for the masked places (ELECTRA, arXiv 2003.10555 §3.1).

    It has the encoder's width and fewer layers (as in DeBERTaV3, arXiv 2111.09543 §3.1), so that both share one table
    of token embeddings without a projection.
    """

    def __init__(self, architecture: str, settings: EncoderSettings, layers: float, encoder: MaskedLm) -> None:
        super().__init__()
        depth = max(1, round(settings.layers * layers))
        smaller = settings.replace(layers=depth, groups=min(settings.groups, depth))
        self.lm = MaskedLm(architecture, smaller, encoder.model.config.vocab_size)
        share_embeddings(self.lm.model, encoder.model)

    def forward(self, inputs: Tensor, positions: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B·M,V), and the inputs (B,T) with sampled tokens at the positions (B,M).

        draws (B,M) are uniform in [0,1). No gradient passes the sampled tokens, and none of them is special.
        """
        logits = self.lm(inputs, positions)
        sampled = sample(logits.detach()[:, len(SPECIALS) :], draws.flatten()) + len(SPECIALS)
        return logits, inputs.scatter(1, positions, sampled.view_as(positions))


class ReplacedTokens(Trained):
    """Replaced-token detection (ELECTRA, arXiv 2003.10555 §3.1): for each place, whether the generator replaced its
    token. The encoder is used without its language-model head."""

    def __init__(self, generator: Generator, lm: MaskedLm) -> None:
        super().__init__()
        self.generator = generator
        self.encoder: Any = lm.model.base_model
        width = self.encoder.config.hidden_size
        self.dense, self.classifier = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, inputs: Tensor, positions: Tensor, draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the generator returns, and logits (B,T) that a token was replaced."""
        logits, read = self.generator(inputs, positions, draws)
        hidden = self.encoder(read).last_hidden_state
        return logits, read, self.classifier(gelu(self.dense(hidden))).squeeze(2)

    @property
    def encoders(self) -> list[nn.Module]:
        return [self.encoder, *self.generator.lm.encoders]

    def save(self, folder: Path) -> None:
        save_model(self.encoder, folder)


class AllTokens(WithLm):
    """All-tokens masked language model (ELECTRA, arXiv 2003.10555 §3.4): predicts every original token from the
    generator's text, or copies the input with a learnt probability. It projects every place to the vocabulary, which is
    expensive."""

    def __init__(self, generator: Generator, lm: MaskedLm) -> None:
        super().__init__()
        self.generator, self.lm = generator, lm
        self.copy = nn.Linear(lm.model.config.hidden_size, 1)

    def forward(self, inputs: Tensor, positions: Tensor, draws: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the generator returns, logits of tokens (B·T,V), and logits of copying (B·T)."""
        logits, read = self.generator(inputs, positions, draws)
        hidden = self.lm.read(read)
        everywhere = torch.arange(inputs.shape[1], device=inputs.device).expand_as(inputs)
        return logits, read, self.lm.predict(hidden, everywhere), self.copy(hidden).flatten()

    @property
    def encoders(self) -> list[nn.Module]:
        return [*self.lm.encoders, *self.generator.lm.encoders]


class FragmentLm(WithLm):
    """A language model with its decoder; both use one head."""

    def __init__(self, lm: MaskedLm) -> None:
        super().__init__()
        self.lm = lm
        lm.model = lm.architecture.with_decoder(lm.model)

    def forward(self, inputs: Tensor, fed: Tensor, positions: Tensor) -> Tensor:
        """Return logits (B·M,V) at positions (B,M) from inputs (B,T) and the tokens before the positions, fed (B,M)."""
        logits: Tensor = self.lm.model.write(inputs, fed, positions - 1)
        return logits

    @property
    def encoders(self) -> list[nn.Module]:
        return [*self.lm.encoders, self.lm.model.decoder]


class BidirectionalLm(WithLm):
    """A language model in each direction (ELMo, arXiv 1802.05365 §3.1) with a memory of the segment before
    (Transformer-XL, arXiv 1901.02860 §3.2)."""

    def __init__(self, lm: MaskedLm) -> None:
        super().__init__()
        self.lm = lm

    def forward(self, inputs: Tensor, labels: Tensor, memories: Sequence[Memory]) -> tuple[Tensor, list[Memory]]:
        """Return the summed loss (2,) of each direction, and each direction's next memory.

        inputs and labels (the next tokens), (B,2,S), are in each direction's own order; memories: one for each
        direction.
        """
        losses, after = [], []
        for side, direction in enumerate(self.base.directions):
            hidden, remembered = direction.follow(self.base.embed(inputs[:, side]), memories[side])
            losses.append(self.lm.model.loss(hidden, labels[:, side]))
            after.append(remembered)
        return torch.stack(losses), after

    def guess(self, inputs: Tensor) -> list[Tensor]:
        """Return each direction's logits (B·S,V) of the next tokens for inputs (B,2,S), without memory."""
        read = (direction(self.base.embed(inputs[:, side])) for side, direction in enumerate(self.base.directions))
        return [self.lm.model.predict(hidden).flatten(0, 1) for hidden in read]

    def empty_memories(self, rows: int) -> list[Memory]:
        """Return an empty memory for each direction and that number of rows."""
        config, device = self.base.config, self.base.device
        size = config.num_hidden_layers, rows, config.memory, config.width
        return [Memory.empty(*size, device) for _ in self.base.directions]

    @property
    def base(self) -> Any:
        """Return the encoder without its head."""
        return self.lm.model.base_model


def share_embeddings(model: nn.Module, other: nn.Module) -> None:
    """Replace the token embeddings of `model` by those of `other` everywhere."""
    own, shared = (m.get_input_embeddings().weight for m in (model, other))  # type: ignore[operator]
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter is own:
                setattr(module, name, shared)


@torch.no_grad()
def sample(logits: Tensor, draws: Tensor) -> Tensor:
    """Return the class (N,) into whose part of the cumulated softmax of logits (N,C) a draw (N,) from [0,1) falls."""
    cumulated = running_sums(logits.float().softmax(1))
    places = torch.searchsorted(cumulated, draws.unsqueeze(1) * cumulated[:, -1:], right=True)
    return places.squeeze(1).clamp(max=logits.shape[1] - 1)  # rounding can make a draw 1


def copy_or_predict(logits: Tensor, copy: Tensor, read: Tensor, tokens: Tensor) -> Tensor:
    """Return log P(tokens) (N,) if the input token is copied with probability σ(copy); logits (N,V), others (N,)."""
    predicted = logsigmoid(-copy) - cross_entropy(logits, tokens, reduction="none")
    return torch.where(tokens == read, torch.logaddexp(predicted, logsigmoid(copy)), predicted)


def likeliest(logits: Tensor, copy: Tensor, read: Tensor) -> Tensor:
    """Return the tokens (N,) of the highest `copy_or_predict`: the input token or the one with the highest logit."""
    first = logits.argmax(1)
    copied, predicted = (copy_or_predict(logits, copy, read, tokens) for tokens in (read, first))
    return torch.where(copied >= predicted, read, first)
