"""A head with a linear-chain CRF, our own one of nn/crf.py, whose derivatives are written out."""

from __future__ import annotations

from torch import Tensor

from daguan.data.tags import TagScheme
from daguan.models.heads.softmax import SoftmaxHead
from daguan.models.settings import ModelSettings
from daguan.nn.crf import ConstrainedCrf


class CrfHead(SoftmaxHead):
    """The scores of a softmax head as the emissions of a CRF. Its local distributions are those of its emissions."""

    def __init__(self, width: int, scheme: TagScheme, settings: ModelSettings) -> None:
        super().__init__(width, scheme, settings)
        self.crf = ConstrainedCrf(scheme)

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return self.crf.loss(scores, tags, mask, self.smoothing)

    def marginals(self, scores: Tensor, mask: Tensor) -> Tensor:
        return self.crf.marginals(scores, mask)
