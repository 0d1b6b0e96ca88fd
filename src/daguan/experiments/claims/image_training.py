"""Trains an image classifier for a number of updates, and measures it on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from daguan.core.seeds import stream, stream_seed
from daguan.experiments.claims.image_classifier import ImageClassifier
from daguan.experiments.claims.images import ImageClaimSettings, Images
from daguan.training.devices import find_device
from daguan.training.loop import Trainer

EVALUATED = 512  # images at a time
DECAY = 0.2  # of the learning rate at each milestone (Zhang et al. 2019, arXiv 1907.08610 §C.1)


@dataclass
class Curves:
    """The measurements of a side, one a point.

    Attributes:
        update: the number of finished updates.
        second: of training, without evaluations.
        train_loss: the mean over the updates since the point before, with dropout, in nats.
        test_loss, test_error: on the test images, without dropout; the error is a share.
    """

    update: list[int] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_error: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, list[float]]:
        return asdict(self)


class ImageTrainer(Trainer[float]):
    """Trains on the images in an order that depends on the seed and the epoch alone; reports each update's loss.

    Attributes:
        targets: classes (N,) of the training images, or probabilities (N,classes) in their place.
        milestones: shares of the updates after which the learning rate falls to DECAY of what it was.
    """

    model: ImageClassifier

    def __init__(
        self,
        model: ImageClassifier,
        optimisers: list[Optimizer],
        images: Images,
        chosen: ImageClaimSettings,
        seed: int,
        targets: Tensor | None = None,
        milestones: tuple[float, ...] = (),
    ) -> None:
        super().__init__(model, optimisers, math.inf)
        self.images, self.chosen, self.seed = images, chosen, seed
        self.targets = images.train_labels if targets is None else targets
        self.milestones = [round(share * chosen.updates) for share in milestones]
        self._order: dict[int, Tensor] = {}
        self._last = 0.0

    @property
    def finished(self) -> bool:
        return self.done == self.chosen.updates

    def step(self) -> Tensor:
        if self.done in self.milestones:
            for optimiser in self.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] *= DECAY
        chosen, device = self._batch(), next(self.model.parameters()).device
        torch.manual_seed(stream_seed(self.seed, "image-dropout", self.done))
        self.model.train()
        loss = self.model.loss(self.images.train[chosen].to(device), self.targets[chosen].to(device))
        torch.autograd.backward(loss)
        self.update_weights(0.0)
        self._last = float(loss.detach())
        return loss.detach().double()

    def after_update(self) -> float:
        return self._last

    def _batch(self) -> Tensor:
        """Returns the numbers of the update's images: an epoch has whole batches alone."""
        size = min(self.chosen.batch_size, len(self.images.train))
        epoch, place = divmod(self.done, len(self.images.train) // size)
        if epoch not in self._order:
            shuffled = stream(self.seed, "image-order", epoch).permutation(len(self.images.train))
            self._order = {epoch: torch.from_numpy(shuffled)}
        return self._order[epoch][place * size : (place + 1) * size]


def new_classifier(images: Images, chosen: ImageClaimSettings, seed: int, **more: float | int) -> ImageClassifier:
    """Returns a classifier whose weights depend on the seed alone; `more` are its dropout, samples and smoothing."""
    torch.manual_seed(stream_seed(seed, "image-weights"))
    shape = tuple(images.train.shape[1:])
    model = ImageClassifier(shape, images.classes, chosen.width, chosen.blocks, **more)  # type: ignore[arg-type]
    return model.to(find_device(chosen.engine))


def trained(trainer: ImageTrainer) -> Curves:
    """Trains to the end and returns the curves."""
    curves = Curves()
    for _ in points_of(trainer, curves):
        loss, error = evaluated(trainer.model, trainer.images.test, trainer.images.test_labels)
        curves.test_loss.append(loss)
        curves.test_error.append(error)
    return curves


def points_of(trainer: ImageTrainer, curves: Curves, before: int = 0) -> Iterator[int]:
    """Trains and gives the number of finished updates at each point, when its training loss and seconds are in the
    curves; the last one is the end.

    before: by how many updates each point comes earlier. What happens at a point does not count as training.
    """
    updates, points = trainer.chosen.updates, min(trainer.chosen.points, trainer.chosen.updates)
    wanted = {max(1, round(updates * point / points) - before) for point in range(1, points + 1)}
    losses: list[float] = []
    idle = 0.0
    for loss in trainer.steps():
        losses.append(loss)
        if trainer.done in wanted:
            curves.update.append(trainer.done)
            curves.second.append(trainer.watch.seconds - idle)
            curves.train_loss.append(sum(losses) / len(losses))
            losses.clear()
            begun = trainer.watch.seconds
            yield trainer.done
            idle += trainer.watch.seconds - begun


@torch.no_grad()
def logits_of(model: ImageClassifier, images: Tensor) -> Tensor:
    """Returns the logits (N,classes) of images (N,C,H,W), on the CPU."""
    model.train(False)
    device = next(model.parameters()).device
    return torch.cat([model(part.to(device)).cpu() for part in images.split(EVALUATED)])  # type: ignore[no-untyped-call]


def evaluated(model: ImageClassifier, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Returns the mean loss, in nats, and the share of errors."""
    logits = logits_of(model, images)
    return float(cross_entropy(logits, labels)), float((logits.argmax(1) != labels).double().mean())
