"""What stands around an encoder in pretraining and is then taken away: heads and generators.

`save` writes the encoder alone, in Hugging Face layout; `encoders` are what Muon takes the hidden matrices from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, logsigmoid

from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.loading import MaskedLm, save_model
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.scans import running_sums
from daguan.nn.transformer_xl import Memory


class SentenceLm(nn.Module):
    """A masked language model, and two classes of pairs of segments from [CLS] through a pooler as BERT's."""

    def __init__(self, lm: MaskedLm) -> None:
        super().__init__()
        width = lm.model.config.hidden_size
        self.lm = lm
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, inputs: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """inputs (B,T), positions (B,M) → logits of tokens (B·M,V), logits of pairs (B,2)."""
        hidden = self.lm.read(inputs)
        pair: Tensor = self.classifier(torch.tanh(self.pooler(hidden[:, 0])))
        return self.lm.predict(hidden, positions), pair

    @property
    def encoders(self) -> list[nn.Module]:
        return self.lm.encoders

    def save(self, folder: Path) -> None:
        self.lm.save(folder)


class Generator(nn.Module):
    """A small masked language model that puts likely tokens at the masked places (ELECTRA, arXiv 2003.10555 §3.1).

    It is as wide as the encoder and less deep (as DeBERTaV3's, arXiv 2111.09543 §3.1), so that both have one table of
    token embeddings without a projection between them.
    """

    def __init__(self, architecture: str, settings: EncoderSettings, layers: float, encoder: MaskedLm) -> None:
        super().__init__()
        depth = max(1, round(settings.layers * layers))
        smaller = settings.replace(layers=depth, groups=min(settings.groups, depth))
        self.lm = MaskedLm(architecture, smaller, encoder.model.config.vocab_size)
        share_embeddings(self.lm.model, encoder.model)

    def forward(self, inputs: Tensor, positions: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """inputs (B,T), positions (B,M), draws (B,M) uniform in [0,1) → logits (B·M,V), inputs (B,T) with sampled
        tokens at the positions: no gradient goes through them, and none is a special."""
        logits = self.lm(inputs, positions)
        sampled = sample(logits.detach()[:, len(SPECIALS) :], draws.flatten()) + len(SPECIALS)
        return logits, inputs.scatter(1, positions, sampled.view_as(positions))


class ReplacedTokens(nn.Module):
    """Replaced-token detection (ELECTRA, arXiv 2003.10555 §3.1): at each place, was the token put there by the
    generator? The encoder comes of a model whose language-model head is left out."""

    def __init__(self, generator: Generator, lm: MaskedLm) -> None:
        super().__init__()
        self.generator = generator
        self.encoder: Any = lm.model.base_model
        width = self.encoder.config.hidden_size
        self.dense, self.classifier = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, inputs: Tensor, positions: Tensor, draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the generator's, and logits (B,T) of having been replaced."""
        logits, read = self.generator(inputs, positions, draws)
        hidden = self.encoder(read).last_hidden_state
        return logits, read, self.classifier(gelu(self.dense(hidden))).squeeze(2)

    @property
    def encoders(self) -> list[nn.Module]:
        return [self.encoder, *self.generator.lm.encoders]

    def save(self, folder: Path) -> None:
        save_model(self.encoder, folder)


class AllTokens(nn.Module):
    """All-tokens masked language model (ELECTRA, arXiv 2003.10555 §3.4): every original token from the generator's
    text, copied from the input with a learnt probability. Every place is projected to the vocabulary: dear."""

    def __init__(self, generator: Generator, lm: MaskedLm) -> None:
        super().__init__()
        self.generator, self.lm = generator, lm
        self.copy = nn.Linear(lm.model.config.hidden_size, 1)

    def forward(self, inputs: Tensor, positions: Tensor, draws: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As the generator's, and logits of tokens (B·T,V) and of copying (B·T)."""
        logits, read = self.generator(inputs, positions, draws)
        hidden = self.lm.read(read)
        everywhere = torch.arange(inputs.shape[1], device=inputs.device).expand_as(inputs)
        return logits, read, self.lm.predict(hidden, everywhere), self.copy(hidden).flatten()

    @property
    def encoders(self) -> list[nn.Module]:
        return [*self.lm.encoders, *self.generator.lm.encoders]

    def save(self, folder: Path) -> None:
        self.lm.save(folder)


class FragmentLm(nn.Module):
    """A masked language model whose encoder has got its decoder: what it writes goes through the same head."""

    def __init__(self, lm: MaskedLm) -> None:
        super().__init__()
        self.lm = lm
        lm.model = lm.architecture.with_decoder(lm.model)

    def forward(self, inputs: Tensor, fed: Tensor, positions: Tensor) -> Tensor:
        """inputs (B,T), fed (B,M) the tokens before positions (B,M) → logits (B·M,V) there."""
        logits: Tensor = self.lm.model(inputs, fed, positions - 1).logits
        return logits.flatten(0, 1)

    @property
    def encoders(self) -> list[nn.Module]:
        return [*self.lm.encoders, self.lm.model.decoder]

    def save(self, folder: Path) -> None:
        """The decoder too: `seq2seq` starts from it."""
        self.lm.save(folder)


class BidirectionalLm(nn.Module):
    """A language model of each direction (ELMo, arXiv 1802.05365 §3.1) that reads on where it has stopped
    (Transformer-XL, arXiv 1901.02860 §3.2)."""

    def __init__(self, lm: MaskedLm) -> None:
        super().__init__()
        self.lm = lm

    def forward(self, inputs: Tensor, labels: Tensor, memories: Sequence[Memory]) -> tuple[Tensor, list[Memory]]:
        """inputs, and labels that follow them, (B,2,S), of each direction in its order, and what each remembers of B
        rows → the summed loss (2,) of each, and what it remembers then."""
        losses, after = [], []
        for side, direction in enumerate(self.base.directions):
            hidden, remembered = direction.follow(self.base.embed(inputs[:, side]), memories[side])
            losses.append(self.lm.model.loss(hidden, labels[:, side]))
            after.append(remembered)
        return torch.stack(losses), after

    def guess(self, inputs: Tensor) -> list[Tensor]:
        """inputs (B,2,S), read without memory → of each direction, logits (B·S,V) of what follows."""
        read = (direction(self.base.embed(inputs[:, side])) for side, direction in enumerate(self.base.directions))
        return [self.lm.model.predict(hidden).flatten(0, 1) for hidden in read]

    def empty_memories(self, rows: int) -> list[Memory]:
        """Of each direction, for so many rows."""
        config, device = self.base.config, self.base.device
        size = config.num_hidden_layers, rows, config.memory, config.width
        return [Memory.empty(*size, device) for _ in self.base.directions]

    @property
    def base(self) -> Any:
        """The encoder."""
        return self.lm.model.base_model

    @property
    def encoders(self) -> list[nn.Module]:
        return self.lm.encoders

    def save(self, folder: Path) -> None:
        self.lm.save(folder)


def share_embeddings(model: nn.Module, other: nn.Module) -> None:
    """Give `model` the token embeddings of `other`, wherever it uses its own."""
    own, shared = (m.get_input_embeddings().weight for m in (model, other))  # type: ignore[operator]
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter is own:
                setattr(module, name, shared)


@torch.no_grad()
def sample(logits: Tensor, draws: Tensor) -> Tensor:
    """The class (N,) whose part of the cumulated softmax of logits (N,C) a draw (N,) of [0,1) falls into."""
    cumulated = running_sums(logits.float().softmax(1))
    places = torch.searchsorted(cumulated, draws.unsqueeze(1) * cumulated[:, -1:], right=True)
    return places.squeeze(1).clamp(max=logits.shape[1] - 1)  # a draw can be rounded up to 1


def copy_or_predict(logits: Tensor, copy: Tensor, read: Tensor, tokens: Tensor) -> Tensor:
    """log P(tokens) (N,), where the token read is copied with probability σ(copy): logits (N,V), the others (N,)."""
    predicted = logsigmoid(-copy) - cross_entropy(logits, tokens, reduction="none")
    return torch.where(tokens == read, torch.logaddexp(predicted, logsigmoid(copy)), predicted)


def likeliest(logits: Tensor, copy: Tensor, read: Tensor) -> Tensor:
    """The tokens (N,) of the highest `copy_or_predict`: the token read, or the one predicted first."""
    first = logits.argmax(1)
    copied, predicted = (copy_or_predict(logits, copy, read, tokens) for tokens in (read, first))
    return torch.where(copied >= predicted, read, first)
