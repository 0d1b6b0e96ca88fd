"""A bidirectional LSTM on padded batches: 2–4 times as fast as torch's on packed ones, and as independent of
padding."""

import torch
from torch import Tensor, nn

from daguan.nn.dropouts import ByteDropout


class BiLstm(nn.Module):
    """Layers of one LSTM each way (Graves & Schmidhuber 2005).

    The backward one reads each sentence reversed within its own length, so padding is never read before a token.
    """

    def __init__(self, size: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [size] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(nn.LSTM(width, hidden, batch_first=True) for width in widths)
        self.backwards = nn.ModuleList(nn.LSTM(width, hidden, batch_first=True) for width in widths)
        self.dropout = ByteDropout(dropout)
        self.out_features = 2 * hidden

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """features (B,T,H), mask (B,T) left-aligned → (B,T,2·hidden)."""
        if features.is_cuda:  # autocast always computes cuDNN's LSTMs in float16
            with torch.autocast("cuda", enabled=False):
                return self._read(features.to(next(self.parameters()).dtype), mask)
        return self._read(features, mask)

    def _read(self, features: Tensor, mask: Tensor) -> Tensor:
        reversal = reversed_positions(mask)
        for layer, (forwards, backwards) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            if layer:
                features = self.dropout(features)
            ahead, _ = forwards(features)
            behind, _ = backwards(_take(features, reversal))
            features = torch.cat([ahead, _take(behind, reversal)], dim=2)
        return features


def reversed_positions(mask: Tensor) -> Tensor:
    """Returns (B,T) the positions of each sentence reversed, then its padding unchanged; its own inverse."""
    lengths = mask.sum(1, keepdim=True)
    positions = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    return torch.where(mask, lengths - 1 - positions, positions)


def _take(features: Tensor, positions: Tensor) -> Tensor:
    return features.gather(1, positions.unsqueeze(2).expand_as(features))
