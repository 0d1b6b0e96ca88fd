"""Dropouts that torch does not have."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

RATES = ("dropout", "attention_dropout")  # the names under which layers hold a rate of dropout as a number


class ByteDropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that draws one random byte an element on a CPU.

    There p is rounded to 1/256; elements are scaled by the exact share that remains, so expectations are exact. torch's
    own draw takes a sixth of a fine-tuning update on a CPU.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.p == 0 or features.device.type != "cpu":
            return dropout(features, self.p, self.training)
        threshold = min(255, round(256 * self.p))
        words = torch.empty(-(-features.numel() // 8), dtype=torch.int64).random_(-(1 << 63), None)
        remaining = words.view(torch.uint8)[: features.numel()].view(features.shape) >= threshold
        return features * (remaining.to(features.dtype) * (256 / (256 - threshold)))


def set_byte_dropout(model: nn.Module, p: float) -> None:
    """Set the rate of every `ByteDropout` in the model."""
    for module in model.modules():
        if isinstance(module, ByteDropout):
            module.p = p


def set_every_dropout(model: nn.Module, p: float) -> None:
    """Set every rate of torch's and Hugging Face's dropouts in the model, that of attention included."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = p
        for name in RATES:
            if type(vars(module).get(name)) in (int, float):
                setattr(module, name, p)


class TokenDropout(nn.Module):
    """In training, replaces whole tokens by `replacement` with probability p (word dropout, Iyyer et al. 2015).

    The replacement is [MASK], which a pretrained encoder reads as "some token".
    """

    def __init__(self, p: float, replacement: int) -> None:
        super().__init__()
        self.p = p
        self.replacement = replacement

    def forward(self, token_ids: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return token_ids
        return token_ids.masked_fill(torch.rand(token_ids.shape, device=token_ids.device) < self.p, self.replacement)
