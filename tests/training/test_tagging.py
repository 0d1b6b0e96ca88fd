"""What the tagger's loop does at an update: who moves, whose gradients count, which weights are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.tiny_taggers import SCHEME, SENTENCES, SIZE, VOCABULARY, tagger
from torch import Tensor

from daguan.core.errors import ConfigError
from daguan.core.types import Score
from daguan.models.model_settings import ModelSettings
from daguan.training.devices import EngineSettings, prepare_process
from daguan.training.prediction import TrainedTagger
from daguan.training.tagging import TaggerTrainer
from daguan.training.train_settings import TrainSettings

EXACT = EngineSettings(device="cpu", precision="float32")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def trainer(**settings: Any) -> TaggerTrainer:
    """4 sentences, 2 updates an epoch, 8 in all."""
    made = tagger("crf", dropout=0.3, encoder_dropout=0.1, token_dropout=0.1)
    trained = TrainedTagger(made, SCHEME, VOCABULARY, ModelSettings(), SIZE.window, 10)
    whole = {"epochs": 4, "batch_size": 2, "evaluations": 2, "checkpoint_seconds": 1e9} | settings
    return TaggerTrainer(trained, TrainSettings(**whole), EXACT, SENTENCES, SENTENCES, seed=1)


def weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def gradients(run: TaggerTrainer, attacked: bool) -> dict[str, Tensor]:
    """Of the first update."""
    run.model.train()
    batch = run._batch(0)
    run._add_gradients(batch)
    if attacked:
        assert run.adversary is not None
        run._attack(run.adversary, batch)
    return {name: weight.grad.clone() for name, weight in run.model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize(("adversary", "times"), [("fgm", 2), ("awp", 1)])
def test_an_adversary_that_goes_nowhere_doubles_the_gradient_or_leaves_it(adversary: str, times: int) -> None:
    """To the bit: both losses see the same dropout masks. ε so small that no weight's bits change."""
    run = trainer(adversary=adversary, fgm_epsilon=1e-30, awp_epsilon=1e-30)
    clean, attacked = gradients(trainer(), attacked=False), gradients(run, attacked=True)
    assert clean.keys() == attacked.keys()
    assert all(attacked[name].equal(times * clean[name]) for name in clean)


@pytest.mark.parametrize("adversary", ["fgm", "awp"])
def test_an_adversary_raises_the_loss_changes_the_gradient_and_leaves_the_weights_alone(adversary: str) -> None:
    run = trainer(adversary=adversary, fgm_epsilon=0.1, awp_epsilon=0.05)
    before = weights(run.model)
    losses: list[float] = []
    add_gradients = run._add_gradients
    run._add_gradients = lambda batch: losses.append(add_gradients(batch)) or losses[-1]  # type: ignore[assignment]
    attacked = gradients(run, attacked=True)
    assert losses[1] > losses[0]
    assert all(weight.equal(before[name]) for name, weight in run.model.named_parameters())
    clean = gradients(trainer(), attacked=False)
    assert not any(attacked[name].equal(2 * clean[name]) or attacked[name].equal(clean[name]) for name in clean)


def test_the_adversary_starts_when_it_is_told_to(tmp_path: Path) -> None:
    run = trainer(adversary="fgm", adversary_start=0.5)
    attacked = []
    run._attack = lambda adversary, batch: attacked.append(run.done)  # type: ignore[method-assign]
    list(run.fit(tmp_path))
    assert attacked == [4, 5, 6, 7]


STIRRING = {"weight_decay": 0.5, "ema_decay": 0.3, "adversary": "awp", "lookahead_alpha": 0.3}


@pytest.mark.parametrize("averaging", ["ema", "swa", "none"])
@pytest.mark.parametrize(("optimiser", "lookahead_steps"), [("adamw", 0), ("radam", 2)])
def test_what_is_frozen_keeps_its_bits(tmp_path: Path, averaging: str, optimiser: str, lookahead_steps: int) -> None:
    """Neither decay nor an average, Lookahead or an adversary moves it, in the model or in what is kept."""
    tricks = STIRRING | {"averaging": averaging, "optimiser": optimiser, "lookahead_steps": lookahead_steps}
    run = trainer(frozen_layers=-1, **tricks)
    before = weights(run.model)
    list(run.fit(tmp_path))
    for name, weight in run.model.named_parameters():
        same = weight.equal(before[name]) and run.average.shadow[name].equal(before[name])
        assert same is name.startswith("encoder."), name


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_the_encoder_is_thawed_after_its_epochs(tmp_path: Path, optimiser: str) -> None:
    run = trainer(frozen_epochs=2, optimiser=optimiser, lookahead_steps=3, **STIRRING)
    before = weights(run.model)
    encoder = [name for name in before if name.startswith("encoder.")]
    for update, _ in enumerate(run.fit(tmp_path), start=1):
        still = [run.model.get_parameter(name).equal(before[name]) for name in encoder]
        kept = [run.average.shadow[name].equal(before[name]) for name in encoder]
        if update <= 4:
            assert all(still)
            assert all(kept)
        elif update == 5:
            assert not any(still)
    assert all(weight.requires_grad for weight in run.model.parameters())


def test_a_cycle_of_lookahead_longer_than_the_run_is_refused() -> None:
    trainer(lookahead_steps=8)
    with pytest.raises(ConfigError, match=r"train\.lookahead_steps: expected at most 8, the updates of a fold, got 9"):
        trainer(lookahead_steps=9)


@pytest.mark.parametrize("averaging", ["ema", "swa", "none"])
def test_averages_and_scores_are_of_the_slow_weights(tmp_path: Path, averaging: str) -> None:
    """A cycle longer than the run: the slow weights never leave the start, whatever the fast ones do."""
    run = trainer(averaging=averaging, swa_start=0.0, lookahead_steps=8)
    for optimiser in run.optimisers:
        optimiser.steps = 100  # type: ignore[attr-defined]  # a user may not
    before = weights(run.model)
    judged = []
    run.evaluate = lambda: judged.append(weights(run.model)) or Score(0, 0, 1)  # type: ignore[method-assign]
    updates = run.fit(tmp_path)
    for _ in range(run.updates - 1):
        next(updates)
    assert not any(weight.equal(before[name]) for name, weight in run.model.named_parameters())
    list(updates)
    assert len(judged) == 2
    for found in (*judged, run.average.shadow, weights(run.model)):
        assert all(found[name].equal(before[name]) for name in before)


def test_the_equal_average_of_a_run_is_the_mean_of_the_weights_after_its_last_updates(tmp_path: Path) -> None:
    run = trainer(averaging="swa", swa_start=0.5)
    seen = [weights(run.model) for _ in zip(range(run.updates - 1), run.fit(tmp_path), strict=False)]
    run._update(run._batch(run.updates - 1))
    seen.append(weights(run.model))
    for name, average in run.average.shadow.items():
        assert torch.allclose(average, torch.stack([w[name] for w in seen[4:]]).mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("patience", "scores", "judged"),
    [(0, [3, 2, 1, 0], 4), (1, [3, 3, 5, 5], 2), (2, [3, 2, 4, 4], 4), (2, [4, 2, 3, 9], 3)],
)
def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path, patience: int, scores: list[int], judged: int) -> None:
    run = trainer(evaluations=4, patience=patience)
    left = iter(scores)
    run.evaluate = lambda: Score(next(left), 10, 10)  # type: ignore[method-assign]
    updates = list(run.fit(tmp_path))
    assert len(list(left)) == 4 - judged
    assert len(updates) == 2 * judged
    assert updates[-1].tokens == updates[-1].total_tokens
    assert run.best is not None
    assert run.best.hits == max(scores[:judged])
    assert all(weight.equal(run.best_weights[name]) for name, weight in run.model.named_parameters())
