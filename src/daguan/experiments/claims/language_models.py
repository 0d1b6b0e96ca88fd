"""The language models that the claim of Transformer-XL compares: one direction each, which reads text in segments.

A state is what a model keeps of the segments before. B rows, S places of a segment, H width, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from daguan.models.encoders.modern import Norm
from daguan.models.encoders.transformer_xl import Direction, TransformerXlConfig, TransformerXlForCausalLM
from daguan.nn.transformer_xl import Memory, sinusoids
from daguan.nn.vocabulary_loss import vocabulary_loss

State = Any


class LanguageModel(nn.Module, ABC):
    """A language model whose output matrix is its table of embeddings.

    Attributes:
        longest: the places that a segment may have; 0 for any number.
    """

    longest = 0

    @abstractmethod
    def empty(self, rows: int, memory: int) -> State:
        """Return the state before a text, which remembers `memory` places where a model can choose."""

    @abstractmethod
    def follow(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Return hidden states (B,S,H) of ids (B,S) that continue the state, and the state after them."""

    @abstractmethod
    def predict(self, hidden: Tensor) -> Tensor:
        """Return logits (…,V) of each next token from hidden states (…,H)."""

    @abstractmethod
    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the summed loss () of hidden states (B,S,H) for the next tokens (B,S)."""


class XlLm(LanguageModel):
    """The forward direction of our Transformer-XL.

    With `relative` false, places are sinusoids added to the input, counted from the segment's start (Vaswani et al.
    2017), and scores see no distances.
    """

    def __init__(self, config: TransformerXlConfig, relative: bool) -> None:
        super().__init__()
        self.lm = TransformerXlForCausalLM(config)
        body = self.lm.transformer_xl
        del body.back
        if not relative:
            body.onward = AbsoluteDirection(config).apply(self.lm._init_weights)
            self.longest = config.max_position_embeddings

    def empty(self, rows: int, memory: int) -> Memory:
        config, device = self.lm.config, self.lm.bias.device
        return Memory.empty(config.num_hidden_layers, rows, memory, config.width, device)

    def follow(self, ids: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        body = self.lm.transformer_xl
        return body.onward.follow(body.embed(ids), state)

    def predict(self, hidden: Tensor) -> Tensor:
        return self.lm.predict(hidden)

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        return self.lm.loss(hidden, labels)


class AbsoluteDirection(Direction):
    """A stack of layers whose input carries the places, so that a remembered place has a current one's number."""

    def _read(self, hidden: Tensor, memory: Memory | None, window: int) -> tuple[Tensor, list[Tensor]]:
        places = torch.arange(hidden.shape[1], device=hidden.device, dtype=torch.float32)
        return super()._read(hidden + sinusoids(places, hidden.shape[2]).to(hidden.dtype), memory, window)

    def positions(self, hidden: Tensor, before: int) -> Tensor:
        return hidden.new_zeros(before + hidden.shape[1], hidden.shape[2])


class LstmLm(LanguageModel):
    """LSTMs, whose state is all that they keep."""

    def __init__(self, vocabulary_size: int, width: int, layers: int, initial_std: float) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(vocabulary_size, width)
        nn.init.normal_(self.embeddings.weight, std=initial_std)
        self.embedding_norm, self.final_norm = Norm(width), Norm(width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def empty(self, rows: int, memory: int) -> State:
        zeros = self.bias.new_zeros(self.lstm.num_layers, rows, self.lstm.hidden_size)
        return zeros, zeros

    def follow(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        read, (hidden, cell) = self.lstm(self.embedding_norm(self.embeddings(ids)), state)
        return self.final_norm(read), (hidden.detach(), cell.detach())

    def predict(self, hidden: Tensor) -> Tensor:
        return nn.functional.linear(hidden, self.embeddings.weight, self.bias)

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        return vocabulary_loss(hidden.flatten(0, 1), self.embeddings.weight, self.bias, labels.flatten())
