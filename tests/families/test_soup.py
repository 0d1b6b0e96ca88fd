"""What a soup is made of, and that it is the average of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from daguan.core.errors import CheckpointError
from daguan.data.tags import TagScheme
from daguan.families.soup_fold import average
from daguan.models.settings import ModelSettings
from daguan.nn.averaging import mean_weights
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import TrainedTagger
from tiny_taggers import SCHEME, SENTENCES, SIZE, VOCABULARY, tagger

EXACT = EngineSettings(device="cpu", precision="float32")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def trained(stirred: float, head: str = "crf", encoder: str = "bert") -> TrainedTagger:
    """From one start, moved by noise of its own."""
    made = tagger(head, encoder=encoder)
    torch.manual_seed(round(1000 * stirred))
    with torch.no_grad():
        for weight in made.parameters():
            weight += stirred * torch.randn_like(weight)
    return TrainedTagger(made.eval(), SCHEME, VOCABULARY, ModelSettings(head=head, encoder=encoder), SIZE.window, 10)


def weights(of: TrainedTagger) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in of.tagger.named_parameters()}


def answers(of: TrainedTagger) -> list[object]:
    return [probs.tobytes() for probs in of.marginals(SENTENCES, EXACT)]


@pytest.mark.parametrize("encoder", ["bert", "albert"])
@pytest.mark.parametrize("copies", [1, 3])
def test_a_soup_of_one_model_or_of_its_copies_is_that_model(copies: int, encoder: str) -> None:
    one = trained(0.3, encoder=encoder)
    before, answered = weights(one), answers(one)
    stirred = average([trained(0.3, encoder=encoder) for _ in range(copies)])
    assert all(weight.equal(before[name]) for name, weight in weights(stirred).items())
    assert answers(stirred) == answered


def test_a_soup_is_the_mean_of_weights_in_whatever_order() -> None:
    members = [trained(noise) for noise in (0.1, 0.2, 0.4, 0.8)]
    given = [weights(member) for member in members]
    forwards = weights(average(members))
    backwards = weights(average([trained(noise) for noise in (0.8, 0.1, 0.4, 0.2)]))
    for name, weight in forwards.items():
        assert weight.equal(torch.stack([each[name].double() for each in given]).mean(0).float()), name
        assert weight.equal(backwards[name]), name


def test_the_order_plays_no_part_where_plain_sums_round_otherwise() -> None:
    """In float64, 1e30 + 1 − 1e30 is 0 or 1 by the order."""
    numbers = [1e30, 1.0, -1e30, 7.0, 3e-30]
    means = {
        float(mean_weights([{"w": torch.tensor([numbers[i]])} for i in order])["w"])
        for order in ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [4, 1, 0, 3, 2], [3, 0, 4, 2, 1])
    }
    assert len(means) == 1


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (trained(0.1, head="softmax"), "shapes of weights"),
        (replace(trained(0.1), scheme=TagScheme(("a", "c"))), "labels"),
        (replace(trained(0.1), window=9), "window"),
    ],
)
def test_what_cannot_be_averaged_is_refused(other: TrainedTagger, what: str) -> None:
    with pytest.raises(CheckpointError, match=f"soup: expected members with the same {what}"):
        average([trained(0.1), other])
