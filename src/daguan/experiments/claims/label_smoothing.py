"""Label smoothing (Szegedy et al. 2016, arXiv 1512.00567 §7; Müller et al. 2019, arXiv 1906.02629).

`eps=…` are image classifiers, `crf-eps=…` taggers under a CRF with the exact soft-target cross entropy of nn/crf.py,
and `student-eps=…` half as wide classifiers that learn the probabilities of a smoothed teacher, at a temperature. The
expected calibration error is that of data/calibration.py, of images or of the tokens whose gold or answered tag is that
of an entity. The spread of the clusters is the mean squared distance of the training images' vectors, in the
penultimate layer, from the mean of their class, as a share of that of these means from the mean of all (§2 speaks of
training examples).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam

from daguan.core.settings import setting
from daguan.data.calibration import reliability
from daguan.data.decoding import decode_lines
from daguan.data.span_score import span_score
from daguan.experiments.claims.claim import NOT_AVAILABLE, Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.image_classifier import ImageClassifier
from daguan.experiments.claims.image_training import Curves, ImageTrainer, logits_of, new_classifier, trained
from daguan.experiments.claims.images import Images, read_images
from daguan.experiments.claims.small_taggers import ENCODER, HEAD, ImageAndTextSettings, inputs, rows, small_tagger
from daguan.models.settings import ModelSettings
from daguan.training.prediction import annotate

FEW, MORE = (0.0, 0.1), (0.05, 0.2)
IMAGES, CRF, STUDENT = "eps", "crf-eps", "student-eps"
CLUSTERED, SHOWN = 3, 100  # classes in the plot of clusters, and points of each
DIAGONAL = [(0.0, 0.0), (1.0, 1.0)]


class SmoothingSettings(ImageAndTextSettings):
    """The settings of `reproduce label-smoothing`. A network that is not overconfident, as that of the digits, is not
    calibrated by smoothing: the claim needs images that are hard, such as CIFAR-10's, and few of them."""

    train_images: int = setting(1_000, "Number of training images, the first ones; 0 for all.", ge=0)
    learning_rate: float = setting(1e-3, "Learning rate of Adam.", gt=0)
    temperature: float = setting(4.0, "Temperature at which a student learns from its teacher.", gt=0)


def name_of(kind: str, smoothing: float) -> str:
    return f"{kind}={smoothing:g}"


def sides(chosen: SmoothingSettings) -> Sequence[str]:
    few = [name_of(kind, smoothing) for kind in (IMAGES, CRF) for smoothing in FEW]
    if not chosen.full:
        return few
    more = [name_of(kind, smoothing) for kind in (IMAGES, CRF) for smoothing in MORE]
    return [*few, *more, *(name_of(STUDENT, smoothing) for smoothing in (*FEW, MORE[-1]))]


def train(side: str, seed: int, chosen: SmoothingSettings) -> Figures:
    kind, _, smoothing = side.partition("=")
    return {IMAGES: of_images, CRF: of_crf, STUDENT: of_student}[kind](float(smoothing), seed, chosen)


def of_images(smoothing: float, seed: int, chosen: SmoothingSettings) -> Figures:
    """Returns loss, error, calibration and clusters of a classifier."""
    images = read_images(chosen)
    model, curves = _classifier(images, chosen, seed, smoothing=smoothing)
    probabilities = logits_of(model, images.test).softmax(1).double().numpy()
    figures = {**curves.figures(), "final_loss": curves.test_loss[-1], "final_error": curves.test_error[-1]}
    return figures | calibrated(probabilities, images.test_labels.numpy()) | clusters(model, images)


def _classifier(
    images: Images, chosen: SmoothingSettings, seed: int, targets: Tensor | None = None, **more: float | int
) -> tuple[ImageClassifier, Curves]:
    model = new_classifier(images, chosen, seed, **more)
    adam = Adam(model.parameters(), lr=chosen.learning_rate)
    return model, trained(ImageTrainer(model, [adam], images, chosen, seed, targets))


def calibrated(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> Figures:
    """Returns the calibration of probabilities (N,K) for labels (N,), and the points of its plot."""
    found = reliability(probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels)
    bins = found["bins"]
    return {
        "ece": found["ece"],
        "confidence": [one["probability"] for one in bins],
        "right": [one["right"] for one in bins],
    }


@torch.no_grad()
def clusters(model: ImageClassifier, images: Images) -> Figures:
    """Returns the spread of the training images' vectors, and those of three classes on the plane through the weights
    of these classes (Müller et al. 2019 §2)."""
    device = next(model.parameters()).device
    vectors = torch.cat([model.features(part.to(device)).cpu() for part in images.train.split(512)])  # type: ignore[no-untyped-call]
    labels = images.train_labels
    figures: Figures = {"spread": spread(vectors, labels)}
    weights = model.classify.weight.cpu()
    plane, _ = torch.linalg.qr((weights[1:CLUSTERED] - weights[0]).T)
    for number in range(min(CLUSTERED, images.classes)):
        points = (vectors[labels == number][:SHOWN] - weights[0]) @ plane
        figures |= {f"x{number}": points[:, 0].tolist(), f"y{number}": points[:, 1].tolist()}
    return figures


def spread(vectors: Tensor, labels: Tensor) -> float:
    """Returns the mean squared distance of vectors (N,H) from the mean of their class, as a share of that of the means
    from the mean of all."""
    numbers, places = torch.unique(labels, return_inverse=True)
    means = torch.stack([vectors[places == place].mean(0) for place in range(len(numbers))])
    within = (vectors - means[places]).square().sum(1).mean()
    between = (means[places] - vectors.mean(0)).square().sum(1).mean()
    return float(within / between)


def of_student(smoothing: float, seed: int, chosen: SmoothingSettings) -> Figures:
    """Returns the errors of a smoothed teacher and of its student."""
    images = read_images(chosen)
    teacher, of_teacher = _classifier(images, chosen, seed, smoothing=smoothing)
    targets = (logits_of(teacher, images.train) / chosen.temperature).softmax(1)
    smaller = chosen.replace(width=max(1, chosen.width // 2))
    _, of_student = _classifier(images, smaller, seed, targets, temperature=chosen.temperature)
    return {
        "teacher_error": of_teacher.test_error[-1],
        "final_error": of_student.test_error[-1],
        "final_loss": of_student.test_loss[-1],
    }


def of_crf(smoothing: float, seed: int, chosen: SmoothingSettings) -> Figures:
    """Returns span F1 and calibration of a tagger; all taggers of a seed start from the same encoder."""
    model = ModelSettings(encoder=ENCODER, head=HEAD, label_smoothing=smoothing)
    text, tagger = small_tagger(chosen, model, seed)
    marginals = tagger.marginals(text.test, chosen.engine)
    f1 = span_score(annotate(text.test, decode_lines(marginals, text.scheme)), text.test).f1
    probabilities = np.concatenate(marginals)
    gold = np.concatenate([text.scheme.encode(len(line.tokens), line.gold) for line in text.test])
    counted = (gold != 0) | (probabilities.argmax(1) != 0)  # tag 0 is that of tokens outside
    return {"f1": f1} | calibrated(probabilities[counted], gold[counted])


def plot(parts: Sequence[Part], chosen: SmoothingSettings) -> Sequence[Panel]:
    """Returns the reliability and the clusters of the first seed, and the test loss of all."""
    first = {part.side: part.figures for part in parts if part.seed == parts[0].seed}
    few = [part for part in parts if part.side in [name_of(IMAGES, smoothing) for smoothing in (*FEW, *MORE)]]
    plain, smoothed = (name_of(IMAGES, smoothing) for smoothing in FEW)
    return [
        Panel("Images, first seed", "probability", "share right", _reliability(first, IMAGES)),
        Panel("Tokens under a CRF, first seed", "probability", "share right", _reliability(first, CRF)),
        *(Panel(f"Three classes, {side}", "", "", _clustered(first[side]), mark="point") for side in (plain, smoothed)),
        Panel("Test loss", "updates", "loss, nats", mean_curves(few, "update", "test_loss")),
    ]


def _reliability(first: Mapping[str, Figures], kind: str) -> dict[str, list[tuple[float, float]]]:
    series = {
        side: list(zip(figures["confidence"], figures["right"], strict=True))
        for side, figures in first.items()
        if side.startswith(f"{kind}=")
    }
    return {**series, "calibrated": DIAGONAL}


def _clustered(figures: Figures) -> dict[str, list[tuple[float, float]]]:
    return {
        f"class {number}": list(zip(figures[f"x{number}"], figures[f"y{number}"], strict=True))
        for number in range(CLUSTERED)
        if f"x{number}" in figures
    }


CLAIM = Claim(
    paper="Szegedy et al. 2016, arXiv 1512.00567, §7; Müller et al. 2019, arXiv 1906.02629, tables 1–3, figures 1, 5",
    settings=SmoothingSettings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("ece", "eps=0.1", "eps=0", -1, "CIFAR-100 .150 to .024, ImageNet .071 to .035 (table 3)"),
        Comparison("spread", "eps=0.1", "eps=0", -1, "figure 1 shows tighter clusters"),
        Comparison(
            "final_error", "eps=0.1", "eps=0", -1, "CIFAR-100 27.9 to 27.3 %, CIFAR-10 13.2 to 13.3 % (table 2)"
        ),
        Comparison("ece", "crf-eps=0.1", "crf-eps=0", -1, "En-De .056 to .019 (table 3); none of a CRF"),
        Comparison("f1", "crf-eps=0.1", "crf-eps=0", 1, f"{NOT_AVAILABLE}; none of a CRF"),
        Comparison("teacher_error", "student-eps=0.1", "student-eps=0", -1, "MNIST 0.59 against 0.67 %"),
        Comparison("final_error", "student-eps=0.1", "student-eps=0", 1, "figure 5 says so"),
    ),
    columns={
        "final_error": Column("test error, %", 1, 100.0),
        "final_loss": Column("test loss, nats", 3),
        "ece": Column("calibration error, %", 1, 100.0),
        "spread": Column("spread of clusters", 3),
        "f1": Column("span F1, %", 1, 100.0),
        "teacher_error": Column("its teacher's error, %", 1, 100.0),
    },
    plot=plot,
    inputs=inputs,
    code=rows,
)
