"""A head that writes the labelling: each tag follows from those written before it and from all of the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from daguan.data.tags import OUTSIDE, TagScheme
from daguan.models.decoder import Cache, Decoder, Memory
from daguan.models.encoders.modern import Norm
from daguan.models.heads.softmax import SoftmaxHead
from daguan.models.settings import ModelSettings
from daguan.nn.beams import Beams
from daguan.nn.viterbi import FORBIDDEN

LEAST = 1e-30  # the probability of a tag that no hypothesis has


class Seq2SeqHead(SoftmaxHead):
    """A decoder (models/decoder.py) whose step t is fed the tag before and the state of token t, sees the steps before
    it and the states of all tokens, and gives tag t.

    Each step's distribution is over the tags that may follow the one before, at the last token over those that may end
    (any tag can be ended by one more, so no other step can lead astray): the probabilities of all legal labellings of a
    line sum to 1, and nothing else can be written. In training the tags before are the gold ones. In prediction the
    `beam` likeliest labellings are searched for, and weighted by their probabilities their tags are the marginals.
    """

    legal: Tensor
    final: Tensor

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__(width, scheme, settings)
        self.smoothing = 0.0  # of a head that it is joined with: some of its tags are forbidden
        self.beam = settings.beam
        self.written = nn.Embedding(1 + len(scheme), width)  # its last row: nothing yet
        self.norm = Norm(width)
        self.decoder = Decoder(width, settings.decoder_layers)
        legal = np.concatenate([scheme.allowed, scheme.may_start[None]])
        self.register_buffer("legal", torch.from_numpy(legal), persistent=False)
        self.register_buffer("final", torch.from_numpy(scheme.may_end), persistent=False)

    def start_from(self, folder: Path) -> None:
        self.decoder.start_from(folder)

    def scores(self, features: Tensor, extra: Tensor | None, tags: Tensor | None, mask: Tensor) -> Tensor:
        """(B,T,K): of each step in training; in prediction the logarithms of the marginals."""
        if tags is None:
            return self.search(features, extra, mask)
        before = pad(tags[:, :-1], (1, 0), value=self.legal.shape[1])
        places = torch.arange(tags.shape[1], device=tags.device).expand_as(tags)
        hidden = self.decoder(self._fed(before, features), places, *self._states(features, mask))
        return self._steps(hidden, extra, before, last_of(mask))

    @torch.no_grad()
    def search(self, features: Tensor, extra: Tensor | None, mask: Tensor) -> Tensor:
        """Logarithms of the marginals (B,T,K), by beam search."""
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
        """(B,W,K): of the next step of each prefix; features (B,1,H), extra (B,1,K), ends (B,1) of its token."""
        if beams.step == 0:
            before = torch.full_like(beams.written[:, :, 0], self.legal.shape[1])
        else:
            before = beams.written[:, :, beams.step - 1]
        places = torch.full_like(before, beams.step)
        hidden = self.decoder.run(self._fed(before, features), places, memories, caches)
        return self._steps(hidden, extra, before, ends)

    def _fed(self, before: Tensor, features: Tensor) -> Tensor:
        """The tags before (B,M), and the features of the steps' tokens (B,M or 1,H) → (B,M,H)."""
        fed: Tensor = self.norm(self.written(before) + features)
        return fed

    def _states(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder reads (B,1+T,H), and what it may not see of it (B,1,1,1+T). As in pretraining, a step stands
        one place before its token: at 0 there was [CLS]."""
        return pad(features, (0, 0, 1, 0)), pad(~mask, (1, 0), value=True)[:, None, None]

    def _steps(self, hidden: Tensor, extra: Tensor | None, before: Tensor, ends: Tensor) -> Tensor:
        """Scores (B,M,K) of steps, FORBIDDEN where a tag may not follow the tags before (B,M) or end at `ends`."""
        emissions: Tensor = self.emit(hidden).float()
        scores = emissions if extra is None else emissions + extra
        return scores.masked_fill(~(self.legal[before] & (self.final | ~ends.unsqueeze(2))), FORBIDDEN)

    def scores_a_row(self, length: int) -> int:
        """A key and a value a layer for each token and for each prefix's step, of 4 bytes where others have 16."""
        return length * (len(self.decoder.layers) * self.norm.weight.shape[0] * (1 + self.beam) // 2)


def last_of(mask: Tensor) -> Tensor:
    """(B,T) true at each row's last token."""
    return mask & ~pad(mask[:, 1:], (0, 1))
