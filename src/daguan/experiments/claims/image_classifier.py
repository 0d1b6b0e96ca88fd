"""A small residual network whose last dropout, samples and label smoothing are those of the taggers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from daguan.models.heads.base import mean_of
from daguan.nn.dropouts import ByteDropout

LARGE = 16  # images at least as high are halved at once


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016, arXiv 1512.03385 §4.2)."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        same = width_in == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B,C,H,W) → (B,C',H/stride,W/stride)."""
        inner = relu(self.first_norm(self.first(images)))
        return relu(self.second_norm(self.second(inner)) + self.shortcut(images))


class ImageClassifier(nn.Module):
    """A residual network of three stages, each twice as wide as the one before and half as high; then the mean over all
    places, dropout and a linear layer.

    In training the loss is the mean over `samples` masks of the dropout (Inoue 2019, arXiv 1905.09788 §3) of the cross
    entropy with smoothed labels; the network below the dropout is computed once. A student of a teacher's probabilities
    divides its logits by their `temperature`, and multiplies the loss by its square (Hinton et al. 2015, arXiv
    1503.02531 §2).

    Attributes:
        width: number of features that the linear layer reads.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        width: int,
        blocks: int,
        dropout: float = 0.0,
        samples: int = 1,
        smoothing: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        """shape: (C,H,W) of an image."""
        super().__init__()
        channels, height, _ = shape
        stride = 2 if height >= LARGE else 1
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        reached = width
        for stage in range(3):
            for block in range(blocks):
                layers.append(ResidualBlock(reached, width << stage, 2 if stage and not block else 1))
                reached = width << stage
        self.body = nn.Sequential(*layers)
        self.width, self.samples, self.smoothing, self.temperature = reached, samples, smoothing, temperature
        self.dropout = ByteDropout(dropout)
        self.classify = nn.Linear(reached, classes)

    def features(self, images: Tensor) -> Tensor:
        """(B,C,H,W) → (B,width), the penultimate layer."""
        maps: Tensor = self.body(images)
        return maps.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """(B,C,H,W) → logits (B,classes), without dropout."""
        logits: Tensor = self.classify(self.features(images))
        return logits

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Returns the mean loss () for classes (B,), or for probabilities (B,classes)."""
        features = self.features(images)
        sampled = [self.classify(self.dropout(features)) / self.temperature for _ in range(self.samples)]
        losses = [cross_entropy(logits, targets, label_smoothing=self.smoothing) for logits in sampled]
        return self.temperature**2 * mean_of(losses)
