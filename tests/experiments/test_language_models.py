"""The language models of the claim of Transformer-XL: what they see, what they remember, and that they learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from daguan.experiments.claims.language_models import LanguageModel, LstmLm, XlLm
from daguan.experiments.claims.language_training import LanguageTrainer, losses_with, perplexity
from daguan.models.encoders.transformer_xl import TransformerXlConfig
from daguan.training.devices import prepare_process

V, WIDTH, SEGMENT = 30, 32, 8
NAMES = ("relative", "absolute", "rnn")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def model(name: str, stirred: bool = True) -> LanguageModel:
    torch.manual_seed(0)
    config = TransformerXlConfig(
        vocab_size=V, hidden_size=2 * WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=SEGMENT,
    )  # fmt: skip
    made = LstmLm(V, WIDTH, 2, 0.02) if name == "rnn" else XlLm(config, name == "relative")
    for parameter in made.parameters() if stirred else ():  # sublayers start at zero
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return made.train(False)


def text(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, V, count))


@torch.no_grad()
@pytest.mark.parametrize("name", ["relative", "rnn"])
def test_segments_with_a_memory_are_the_whole_text(name: str) -> None:
    lm, ids = model(name), text(3 * SEGMENT)[None]
    whole, _ = lm.follow(ids, lm.empty(1, 0))
    state, parts = lm.empty(1, 3 * SEGMENT), []
    for low in range(0, 3 * SEGMENT, SEGMENT):
        hidden, state = lm.follow(ids[:, low : low + SEGMENT], state)
        parts.append(hidden)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


@torch.no_grad()
def test_with_absolute_places_a_segment_in_memory_has_the_places_of_the_current_one() -> None:
    lm = model("absolute")
    ids = text(2 * SEGMENT)[None]
    _, state = lm.follow(ids[:, :SEGMENT], lm.empty(1, SEGMENT))
    found, _ = lm.follow(ids[:, SEGMENT:], state)
    whole, _ = lm.follow(ids, lm.empty(1, 0))
    assert not torch.allclose(found, whole[:, SEGMENT:], atol=1e-3)
    order = torch.randperm(SEGMENT, generator=torch.Generator().manual_seed(1))
    plain = model("absolute").empty(1, 0)
    moved, _ = lm.follow(ids[:, :SEGMENT][:, order], plain)
    assert not torch.allclose(moved[:, -1], whole[:, SEGMENT - 1], atol=1e-3)  # places are seen


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_depends_on_the_context_alone_and_is_that_of_one_window(name: str) -> None:
    lm, ids, places = model(name), text(60), torch.tensor([30, 41, 59])
    remembers = name != "absolute"
    found = losses_with(lm, ids, places, 20, SEGMENT, remembers)
    changed = ids.clone()
    changed[:10] = 0
    assert np.array_equal(losses_with(lm, changed, places, 20, SEGMENT, remembers), found)
    seen = 20 if remembers else SEGMENT
    for place, loss in zip(places.tolist(), found, strict=True):
        with torch.no_grad():
            hidden, _ = lm.follow(ids[None, place - seen : place], lm.empty(1, 0))
            expected = -lm.predict(hidden[0, -1]).log_softmax(0)[ids[place]].item()
        assert loss == pytest.approx(expected, abs=1e-4)


def test_without_a_memory_every_segment_is_read_afresh() -> None:
    lm, ids = model("relative"), text(400)
    alone = perplexity(lm, ids, SEGMENT, 0, 0)
    total, count = 0.0, 0
    streams = ids.view(8, -1)
    for low in range(0, streams.shape[1] - SEGMENT, SEGMENT):
        with torch.no_grad():
            hidden, _ = lm.follow(streams[:, low : low + SEGMENT], lm.empty(8, 0))
            logs = lm.predict(hidden).log_softmax(2)
        wanted = streams[:, low + 1 : low + SEGMENT + 1]
        total -= logs.gather(2, wanted.unsqueeze(2)).sum().item()
        count += wanted.numel()
    assert alone == pytest.approx(math.exp(total / count), rel=1e-5)
    assert perplexity(lm, ids, SEGMENT, SEGMENT, 0) != pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_language_model_learns_a_text_that_repeats_itself(name: str) -> None:
    ids = torch.arange(600) % V
    lm = model(name, stirred=False)
    before = perplexity(lm, ids, SEGMENT, 0, 0)
    memory = SEGMENT if name == "relative" else 0
    trainer = LanguageTrainer(lm, ids, 4, SEGMENT, memory, name != "absolute", 120, 1e-2)
    for _ in trainer.steps():
        pass
    assert perplexity(lm, ids, SEGMENT, memory, 0) < 0.2 * before


def test_the_state_is_carried_from_segment_to_segment_and_dropped_where_the_text_begins_again() -> None:
    lm = model("rnn")
    trainer = LanguageTrainer(lm, text(4 * (2 * SEGMENT + 1)), 4, SEGMENT, 0, True, 4, 0.0)
    states = []
    for _ in trainer.steps():
        states.append(trainer.states[0][0].clone())
    assert torch.equal(states[0], states[2])
    assert torch.equal(states[1], states[3])
    assert not torch.equal(states[0], states[1])
