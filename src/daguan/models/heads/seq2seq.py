"""A head that generates the tags one after another, each from the tags before it and from the whole text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from daguan.data.tags import OUTSIDE, TagScheme
from daguan.data.viterbi import FORBIDDEN
from daguan.models.decoder import Cache, Decoder, Memory
from daguan.models.encoders.modern import Norm
from daguan.models.heads.softmax import SoftmaxHead
from daguan.models.settings import ModelSettings
from daguan.nn.beams import Beams

LEAST = 1e-30  # the probability of a tag that is in no hypothesis


class Seq2SeqHead(SoftmaxHead):
    """A decoder (models/decoder.py). Step t reads the tag before and the state of token t, attends to the steps before
    it and to the states of all tokens, and predicts tag t.

    Each step's distribution is over the tags that may follow the one before, and at the last token over those that may
    also end a line. From any tag one more tag can end the line, so no earlier step leads to a dead end: the
    probabilities of all legal labellings of a line sum to 1. In training the tags before are the gold ones. In
    prediction a beam search finds the `beam` most probable labellings; weighted by their probabilities, they give the
    marginals.
    """

    legal: Tensor
    final: Tensor

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__(width, scheme, settings)
        self.smoothing = 0.0  # the setting is meant for another head: here some tags are forbidden
        self.beam = settings.beam
        self.written = nn.Embedding(1 + len(scheme), width)  # the last row stands for no tag yet
        self.norm = Norm(width)
        self.decoder = Decoder(width, settings.decoder_layers)
        legal = np.concatenate([scheme.allowed, scheme.may_start[None]])
        self.register_buffer("legal", torch.from_numpy(legal), persistent=False)
        self.register_buffer("final", torch.from_numpy(scheme.may_end), persistent=False)

    def load_pretrained(self, folder: Path) -> None:
        self.decoder.load_pretrained(folder)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """Return the scores of each step in training, the logarithms of the marginals in prediction, (B,T,K)."""
        if tags is None:
            return self.search(features, extra, mask)
        before = pad(tags[:, :-1], (1, 0), value=self.legal.shape[1])
        places = torch.arange(tags.shape[1], device=tags.device).expand_as(tags)
        hidden = self.decoder(self._fed(before, features), places, *self._states(features, mask))
        return self._steps(hidden, extra, before, last_of(mask))

    @torch.no_grad()
    def search(self, features: Tensor, extra: Tensor | None, mask: Tensor) -> Tensor:
        """Return the logarithms of the marginals, (B,T,K), by beam search."""
        (batch, length), ends = mask.shape, last_of(mask)
        beams = Beams(batch, self.beam, length, mask.device)
        memories = self.decoder.remember(*self._states(features, mask))
        caches = [Cache(beams) for _ in memories]
        padding = torch.full_like(self.final, FORBIDDEN, dtype=torch.float32)
        padding[OUTSIDE] = 0
        for step in range(length):
            of_token = None if extra is None else extra[:, step, None]
            scores = self._step(beams, features[:, step, None], of_token, ends[:, step, None], memories, caches)
            beams.grow(scores.log_softmax(2).where(mask[:, step, None, None], padding))
        weighted = one_hot(beams.written, self.extra_width) * beams.scores.softmax(1)[:, :, None, None]
        return weighted.sum(1).clamp(min=LEAST).log()

    def _step(
        self,
        beams: Beams,
        features: Tensor,
        extra: Tensor | None,
        ends: Tensor,
        memories: list[Memory],
        caches: list[Cache],
    ) -> Tensor:
        """Return the scores (B,W,K) of each prefix's next step; features (B,1,H), extra (B,1,K), ends (B,1)."""
        if beams.step == 0:
            before = torch.full_like(beams.written[:, :, 0], self.legal.shape[1])
        else:
            before = beams.written[:, :, beams.step - 1]
        places = torch.full_like(before, beams.step)
        hidden = self.decoder.run(self._fed(before, features), places, memories, caches)
        return self._steps(hidden, extra, before, ends)

    def _fed(self, before: Tensor, features: Tensor) -> Tensor:
        """Return the steps' inputs (B,M,H) from the tags before (B,M) and their tokens' features (B,M or 1,H)."""
        fed: Tensor = self.norm(self.written(before) + features)
        return fed

    def _states(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states to which the decoder attends, (B,1+T,H), and which of them are hidden, (B,1,1,1+T).

        The extra state stands for [CLS]: as in pretraining, a step's position is one before that of its token.
        """
        return pad(features, (0, 0, 1, 0)), pad(~mask, (1, 0), value=True)[:, None, None]

    def _steps(self, hidden: Tensor, extra: Tensor | None, before: Tensor, ends: Tensor) -> Tensor:
        """Return the scores (B,M,K) of steps, FORBIDDEN where a tag may not follow `before` or not stand at `ends`."""
        emissions: Tensor = self.emit(hidden).float()
        scores = emissions if extra is None else emissions + extra
        return scores.masked_fill(~(self.legal[before] & (self.final | ~ends.unsqueeze(2))), FORBIDDEN)

    def scores_per_row(self, length: int) -> int:
        """Count a key and a value in each layer for each token and each prefix's step: 4 bytes where others have 16."""
        return length * (len(self.decoder.layers) * self.norm.weight.shape[0] * (1 + self.beam) // 2)


def last_of(mask: Tensor) -> Tensor:
    """Return a mask (B,T) of each row's last token."""
    return mask & ~pad(mask[:, 1:], (0, 1))
