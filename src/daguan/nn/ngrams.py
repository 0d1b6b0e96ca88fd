"""Hashed n-gram features: the wide part of a wide-and-deep tagger (Cheng et al. 2016, arXiv 1606.07792), and n-gram
embeddings for encoders without pretraining.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)  # odd 64-bit constants
SHIFT = 31


class NgramTable(nn.Module):
    """Looks up the n-grams around each token in a hashed table.

    Each template is a set of positions relative to the token; its n-gram is hashed to one of `buckets` rows. Training
    drops features with probability `dropout`, and scales the others so that the mean is unchanged.
    """

    def __init__(self, templates: Sequence[Sequence[int]], buckets: int, width: int, dropout: float) -> None:
        super().__init__()
        self.templates = templates
        self.buckets = buckets
        self.reach = max(abs(place) for template in templates for place in template)
        self.table = nn.Embedding(buckets, width)
        self.dropout = dropout

    def features(self, token_ids: Tensor) -> Tensor:
        """token_ids (B,T), 0 at padding → (B,T,templates,width); padding does not change a token's features."""
        rows = self.hashes(token_ids)
        features: Tensor = self.table(rows)
        if self.training and self.dropout:
            remaining = torch.rand(rows.shape, device=rows.device) >= self.dropout
            features = features * remaining.unsqueeze(3) / (1 - self.dropout)
        return features

    def hashes(self, token_ids: Tensor) -> Tensor:
        """(B,T) → (B,T,templates) rows of the table."""
        length = token_ids.shape[1]
        wide = nn.functional.pad(token_ids, (self.reach, self.reach))
        found = []
        for number, template in enumerate(self.templates):
            value = torch.full_like(token_ids, number + 1)
            for place in template:
                shifted = wide[:, self.reach + place : self.reach + place + length]
                value = _mix(value * _signed(MULTIPLIERS[0]) + shifted + 1)
            found.append(value.remainder(self.buckets))
        return torch.stack(found, dim=2)


class NgramEmissions(NgramTable):
    """Scores every tag from the n-grams around a token, as a CRF on features does.

    The table has K columns and starts at zero; a token's score is the sum over templates. Features are dropped in
    training so that the deep part learns too.
    """

    def __init__(self, templates: Sequence[Sequence[int]], buckets: int, tags: int, dropout: float) -> None:
        super().__init__(templates, buckets, tags, dropout)
        nn.init.zeros_(self.table.weight)

    def forward(self, token_ids: Tensor) -> Tensor:
        """token_ids (B,T), 0 at padding, → (B,T,K)."""
        return self.features(token_ids).sum(2)


class NgramEmbeddings(NgramTable):
    """Concatenates the embeddings of the n-grams around a token."""

    def forward(self, token_ids: Tensor) -> Tensor:
        """token_ids (B,T), 0 at padding, → (B,T,templates·width)."""
        return self.features(token_ids).flatten(2)


def _mix(value: Tensor) -> Tensor:
    """Maps 64-bit integers one to one, spreading every bit (after SplitMix64)."""
    for multiplier in MULTIPLIERS[1:]:
        value = (value ^ (value >> SHIFT)) * _signed(multiplier)
    return value ^ (value >> SHIFT)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
