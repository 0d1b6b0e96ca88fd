"""Cross entropy over a vocabulary, without holding the logits of all places at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import linear

CHUNK = 128  # places at a time, so that logits stay in a core's cache


class _VocabularyLoss(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        to_hidden, to_weight, to_bias = (torch.zeros_like(one) for one in (hidden, weight, bias))
        loss = torch.zeros((), dtype=weight.dtype, device=weight.device)
        for low in range(0, len(hidden), CHUNK):
            part = slice(low, low + CHUNK)
            errors = linear(hidden[part], weight, bias).to(weight.dtype).log_softmax(1)
            wanted = labels[part].unsqueeze(1)
            loss -= errors.gather(1, wanted).sum()
            errors.exp_().scatter_add_(1, wanted, errors.new_full(wanted.shape, -1.0))
            to_hidden[part] = errors @ weight
            to_weight.add_(errors.mT @ hidden[part])
            to_bias.add_(errors.sum(0))
        ctx.save_for_backward(to_hidden, to_weight, to_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        to_hidden, to_weight, to_bias = ctx.saved_tensors
        return gradient * to_hidden, gradient * to_weight, gradient * to_bias, None


def vocabulary_loss(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """Returns Σ −log softmax(hidden·weightᵀ + bias)[label] (); hidden (N,H), weight (V,H), bias (V), labels (N).

    Gradients are computed along with the loss, so this is for training only.
    """
    loss: Tensor = _VocabularyLoss.apply(hidden, weight, bias, labels)  # type: ignore[no-untyped-call]
    return loss
