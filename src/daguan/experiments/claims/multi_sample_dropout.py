"""Multi-sample dropout (Inoue 2019, arXiv 1905.09788): M masks of the last dropout, and the mean of their losses.

The paper's networks have eight convolutions; here a small residual network is trained by Adam at one learning rate. All
sides of a seed start from the same weights, read the same images and share the first mask. In the full grid taggers
(`tagger-M=…`) learn people_daily on a pretrained encoder, with the losses averaged by models/tagger.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch.optim import Adam

from daguan.core.settings import setting
from daguan.experiments.claims.claim import NOT_AVAILABLE, Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.image_training import ImageTrainer, evaluated, new_classifier, trained
from daguan.experiments.claims.images import read_images
from daguan.experiments.claims.learning import f1_on_test
from daguan.experiments.claims.small_taggers import ENCODER, HEAD, ImageAndTextSettings, inputs, rows, small_tagger
from daguan.models.settings import ModelSettings

SAMPLES = (1, 2, 4, 8)
IMAGES, TAGGER = "M", "tagger-M"
PAPER = f"{NOT_AVAILABLE}; its abstract and figures 1–3 say so"


class DropoutSettings(ImageAndTextSettings):
    """The settings of `reproduce multi-sample-dropout`."""

    dropout: float = setting(0.5, "Rate of the dropout.", gt=0, lt=1)
    learning_rate: float = setting(1e-3, "Learning rate of Adam.", gt=0)


def sides(chosen: DropoutSettings) -> Sequence[str]:
    return [f"{kind}={samples}" for kind in ((IMAGES, TAGGER) if chosen.full else (IMAGES,)) for samples in SAMPLES]


def train(side: str, seed: int, chosen: DropoutSettings) -> Figures:
    kind, _, samples = side.partition("=")
    return {IMAGES: of_images, TAGGER: of_tagger}[kind](int(samples), seed, chosen)


def of_images(samples: int, seed: int, chosen: DropoutSettings) -> Figures:
    """Returns the curves, and the loss and error on both sets at the end."""
    images = read_images(chosen)
    model = new_classifier(images, chosen, seed, dropout=chosen.dropout, samples=samples)
    adam = Adam(model.parameters(), lr=chosen.learning_rate)
    curves = trained(ImageTrainer(model, [adam], images, chosen, seed))
    loss, error = evaluated(model, images.train, images.train_labels)
    return {
        **curves.figures(),
        "final_loss": curves.train_loss[-1],
        "final_test_loss": curves.test_loss[-1],
        "final_error": curves.test_error[-1],
        "gap": curves.test_loss[-1] - loss,
        "error_gap": curves.test_error[-1] - error,
        "milliseconds": 1000 * curves.second[-1] / curves.update[-1],
    }


def of_tagger(samples: int, seed: int, chosen: DropoutSettings) -> Figures:
    """Returns the curve of the training loss, a moving average in nats a token, and span F1 on the test lines."""
    losses: list[float] = []
    model = ModelSettings(encoder=ENCODER, head=HEAD, dropout=chosen.dropout, dropout_samples=samples)
    text, tagger = small_tagger(chosen, model, seed, losses)
    return {
        "update": [*range(1, len(losses) + 1)],
        "train_loss": losses,
        "final_loss": losses[-1],
        "f1": f1_on_test(text, tagger, chosen.engine),
    }


def relate(figures: dict[str, Figures], chosen: DropoutSettings) -> dict[str, Figures]:
    """Adds the number of updates after which each side first has the lowest training loss that M = 1 has."""
    for side, own in figures.items():
        aim = min(figures[f"{side.partition('=')[0]}=1"]["train_loss"])
        own["updates_needed"] = updates_to(aim, own["update"], own["train_loss"])
    return figures


def updates_to(aim: float, updates: Sequence[float], losses: Sequence[float]) -> float:
    """Returns the number of updates at which the loss, linear between two points, first is as low as `aim`: that of the
    first point if it is so low there, that of the last one if it never is."""
    first = next((place for place, loss in enumerate(losses) if loss <= aim), None)
    if first is None or first == 0:
        return updates[-1 if first is None else 0]
    share = (losses[first - 1] - aim) / (losses[first - 1] - losses[first])
    return updates[first - 1] + share * (updates[first] - updates[first - 1])


def plot(parts: Sequence[Part], chosen: DropoutSettings) -> Sequence[Panel]:
    images = [part for part in parts if part.side.startswith(f"{IMAGES}=")]
    taggers = [part for part in parts if part not in images]
    panels = [
        Panel("Training loss", "updates", "loss, nats", mean_curves(images, "update", "train_loss")),
        Panel("Training loss", "seconds", "loss, nats", mean_curves(images, "second", "train_loss")),
        Panel("Test error", "updates", "share of errors", mean_curves(images, "update", "test_error")),
        Panel("Test error", "seconds", "share of errors", mean_curves(images, "second", "test_error")),
    ]
    of_taggers = mean_curves(taggers, "update", "train_loss")
    return [*panels, *([Panel("Taggers", "updates", "training loss, nats a token", of_taggers)] if taggers else [])]


CLAIM = Claim(
    paper="Inoue 2019, arXiv 1905.09788, figures 1–3",
    settings=DropoutSettings,
    sides=sides,
    train=train,
    relate=relate,
    comparisons=(
        Comparison("updates_needed", "M=8", "M=1", -1, PAPER),
        Comparison("final_loss", "M=8", "M=1", -1, PAPER),
        Comparison("final_error", "M=8", "M=1", -1, PAPER),
        Comparison("updates_needed", "M=2", "M=1", -1, PAPER),
        Comparison("updates_needed", "M=4", "M=2", -1, PAPER),
        Comparison("updates_needed", "tagger-M=8", "tagger-M=1", -1, f"{NOT_AVAILABLE}; no tagger"),
        Comparison("f1", "tagger-M=8", "tagger-M=1", 1, f"{NOT_AVAILABLE}; no tagger"),
    ),
    columns={
        "updates_needed": Column("updates to the loss of M=1", 0),
        "final_loss": Column("training loss", 3),
        "final_test_loss": Column("test loss", 3),
        "final_error": Column("test error, %", 1, 100.0),
        "gap": Column("test minus training loss", 3),
        "error_gap": Column("test minus training error, %", 1, 100.0),
        "f1": Column("span F1, %", 1, 100.0),
        "milliseconds": Column("ms an update", 1),
    },
    plot=plot,
    inputs=inputs,
    code=rows,
)
