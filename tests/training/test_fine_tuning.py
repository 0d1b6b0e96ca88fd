"""Updates of fine-tuning: which parameters move, how gradients are weighted, which weights are evaluated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from daguan.core.errors import ConfigError
from daguan.core.seeds import stream
from daguan.core.types import Score, Sentence, Span
from daguan.data.batches.collate import bucketed_order
from daguan.models.settings import ModelSettings
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import PseudoLines, TaggerTrainer
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.prediction import TrainedTagger
from resuming import assert_resumes
from tiny_taggers import SCHEME, SENTENCES, SIZE, VOCABULARY, tagger

EXACT = EngineSettings(device="cpu", precision="float32")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def trainer(
    pseudo: Sequence[Sentence] = (),
    pseudo_weight: float = 1.0,
    held_out: Sequence[Sentence] = SENTENCES,
    updates: int = 0,
    longest: float = math.inf,
    draws: int = 1,
    **settings: Any,
) -> TaggerTrainer:
    """4 sentences, 2 updates an epoch, 8 in all; more with pseudo-labelled ones."""
    made = tagger("crf", dropout=0.3, encoder_dropout=0.1, token_dropout=0.1)
    trained = TrainedTagger(made, SCHEME, VOCABULARY, ModelSettings(), SIZE.window, 10)
    whole = {"epochs": 4, "batch_size": 2, "evaluations": 2, "checkpoint_seconds": 1e9} | settings
    lines = PseudoLines(pseudo, pseudo_weight, longest, draws)
    return TaggerTrainer(trained, TrainSettings(**whole), EXACT, SENTENCES, held_out, 1, lines, updates)


def weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def gradients(run: TaggerTrainer, attacked: bool) -> dict[str, Tensor]:
    """Returns the gradients of the first update."""
    run.model.train()
    lines = run._lines(0)
    run._compute_gradients(lines)
    if attacked:
        assert run.adversary is not None
        run._attack(run.adversary, lines)
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
    compute = run._compute_gradients
    run._compute_gradients = lambda lines: losses.append(compute(lines)) or losses[-1]  # type: ignore[assignment]
    attacked = gradients(run, attacked=True)
    assert losses[1] > losses[0]
    assert all(weight.equal(before[name]) for name, weight in run.model.named_parameters())
    clean = gradients(trainer(), attacked=False)
    assert not any(attacked[name].equal(2 * clean[name]) or attacked[name].equal(clean[name]) for name in clean)


def test_the_adversary_starts_at_its_share_of_the_run(tmp_path: Path) -> None:
    run = trainer(adversary="fgm", adversary_start=0.5)
    attacked = []
    run._attack = lambda adversary, batch: attacked.append(run.done)  # type: ignore[method-assign]
    list(run.fit(tmp_path))
    assert attacked == [4, 5, 6, 7]


STIRRING = {"weight_decay": 0.5, "ema_decay": 0.3, "adversary": "awp", "lookahead_alpha": 0.3}


@pytest.mark.parametrize("averaging", ["ema", "swa", "none"])
@pytest.mark.parametrize(("optimiser", "lookahead_steps"), [("adamw", 0), ("radam", 2)])
def test_what_is_frozen_keeps_its_bits(tmp_path: Path, averaging: str, optimiser: str, lookahead_steps: int) -> None:
    """Neither decay nor an average, Lookahead or an adversary moves it, in the model or in the average."""
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
        averaged = [run.average.shadow[name].equal(before[name]) for name in encoder]
        if update <= 4:
            assert all(still)
            assert all(averaged)
        elif update == 5:
            assert not any(still)
    assert all(weight.requires_grad for weight in run.model.parameters())


def test_a_cycle_of_lookahead_longer_than_the_run_is_refused() -> None:
    trainer(lookahead_steps=8)
    with pytest.raises(ConfigError, match=r"train\.lookahead_steps: expected at most 8, the number of updates, got 9"):
        trainer(lookahead_steps=9)


@pytest.mark.parametrize("averaging", ["ema", "swa", "none"])
def test_averages_and_scores_are_of_the_slow_weights(tmp_path: Path, averaging: str) -> None:
    """A cycle longer than the run: the slow weights never leave the start, whatever the fast ones do."""
    run = trainer(averaging=averaging, swa_start=0.0, lookahead_steps=8)
    for optimiser in run.optimisers:
        optimiser.steps = 100  # type: ignore[attr-defined]  # a user may not
    before = weights(run.model)
    evaluated = []
    run.evaluate = lambda: evaluated.append(weights(run.model)) or Score(0, 0, 1)  # type: ignore[method-assign]
    updates = run.fit(tmp_path)
    for _ in range(run.updates - 1):
        next(updates)
    assert not any(weight.equal(before[name]) for name, weight in run.model.named_parameters())
    list(updates)
    assert len(evaluated) == 1
    for found in (*evaluated, run.average.shadow, weights(run.model)):
        assert all(found[name].equal(before[name]) for name in before)


def test_the_equal_average_of_a_run_is_the_mean_of_the_weights_after_its_last_updates(tmp_path: Path) -> None:
    run = trainer(averaging="swa", swa_start=0.5)
    seen = [weights(run.model) for _ in zip(range(run.updates - 1), run.fit(tmp_path), strict=False)]
    run._update(run._lines(run.updates - 1))
    seen.append(weights(run.model))
    for name, average in run.average.shadow.items():
        assert torch.allclose(average, torch.stack([w[name] for w in seen[4:]]).mean(0), atol=1e-6)


def test_evaluations_are_even_and_choose_nothing(tmp_path: Path) -> None:
    """Each scores worse than the one before; the weights are the last averages, as without any."""
    run, without = trainer(evaluations=4), trainer(evaluations=1)
    hits = iter((3, 2, 1))
    run.evaluate = lambda: Score(next(hits), 10, 10)  # type: ignore[method-assign]
    updates = list(run.fit(tmp_path / "with"))
    assert [len(update.f1s) for update in updates] == [0, 1, 1, 2, 2, 3, 3, 3]
    assert updates[-1].f1s == pytest.approx((0.3, 0.2, 0.1))
    assert updates[-1].tokens == updates[-1].total_tokens
    assert list(without.fit(tmp_path / "without"))[-1].f1s == ()
    for name, weight in run.model.named_parameters():
        assert weight.equal(run.average.shadow[name])
        assert weight.equal(without.model.get_parameter(name))


PSEUDO = [Sentence(tuple("1357"), (Span(1, 3, "a"),)), Sentence(tuple("2468013"), ()), Sentence(tuple("99"), ())]


def test_without_pseudo_labels_the_batches_are_those_of_the_gold_lines() -> None:
    run = trainer()
    for epoch in (0, 1):
        order = bucketed_order([len(line.tokens) for line in SENTENCES], 2, stream(1, "batch-order", epoch))
        for within, indices in enumerate(order):
            lines = run._lines(2 * epoch + within)
            assert lines.batches[0].lengths.tolist() == [len(SENTENCES[i].tokens) for i in indices]
            assert lines.weight == 1


def test_each_epoch_has_all_lines_once_in_batches_of_one_kind() -> None:
    run = trainer(PSEUDO, 0.25)
    assert (run.updates_per_epoch, run.updates) == (4, 16)
    orders = set()
    for epoch in range(4):
        updates = [run._lines(4 * epoch + within) for within in range(4)]
        for weight, lines in ((1.0, SENTENCES), (0.25, PSEUDO)):
            found = [length for one in updates if one.weight == weight for length in one.batches[0].lengths.tolist()]
            assert sorted(found) == sorted(len(line.tokens) for line in lines)
        orders.add(tuple(update.weight for update in updates))
    assert len(orders) > 1  # they are mixed


@pytest.mark.parametrize(
    ("lines", "longest", "expected"),
    [(0, 4, 1), (4, 4, 2), (4, 1.5, 1.5), (4, 1, 1), (16, math.inf, 5), (16, 4, 4)],
)
@pytest.mark.parametrize("planned", [0, 6])
def test_pseudo_labelled_lines_add_updates_in_proportion_up_to_a_limit(
    planned: int, lines: int, longest: float, expected: float
) -> None:
    """Also to a number that a plan fixed for the gold lines alone: 8 updates by the epochs, or those planned."""
    pseudo = [*SENTENCES * 4][:lines]
    assert trainer(pseudo, updates=planned, longest=longest).updates == expected * (planned or 8)


def test_each_epoch_reads_another_draw_of_all_pseudo_labelled_lines() -> None:
    """In turn, and once each; updates are those of one draw."""
    texts = [line.tokens for line in SENTENCES]
    pseudo = [Sentence(text, (Span(0, 1, label),)) for text in texts for label in "ab"]
    run = trainer(pseudo, draws=2)
    assert run.updates == trainer(SENTENCES).updates
    spans = []
    for epoch in range(4):
        read = sorted(int(i) for batch in run._epoch_order(epoch) for i in batch)
        assert read[: run.gold_examples] == list(range(run.gold_examples))
        rest = [run.examples[i] for i in read[run.gold_examples :]]
        assert sorted(one.token_ids for one in rest) == sorted(one.token_ids for one in run.examples[:4])
        spans.append({str(one.tag_ids) for one in rest})
    assert spans[0] == spans[2]
    assert spans[1] == spans[3]
    assert not spans[0] & spans[1]


def pseudo_gradients(weight: float, **settings: Any) -> dict[str, Tensor]:
    """Returns the gradients of an update by a batch of pseudo-labelled lines, after clipping."""
    run = trainer(PSEUDO, weight, **settings)
    run.clear_gradients = lambda: None  # type: ignore[method-assign]
    update = next(i for i in range(4) if run._epoch_order(0)[i][0] >= len(SENTENCES))
    run._update(run._lines(update))
    return {name: weight.grad.clone() for name, weight in run.model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("clip", [1e-3, 1e9])
def test_a_weight_is_what_a_batch_does_to_the_gradient(clip: float) -> None:
    """Half the weight gives half the gradient to the bit, clipped or not; the reported loss is not weighted."""
    whole, half = (pseudo_gradients(weight, clip=clip) for weight in (1.0, 0.5))
    assert whole.keys() == half.keys()
    norm = torch.stack([gradient.norm() for gradient in whole.values()]).norm()
    assert norm.item() == pytest.approx(clip, rel=1e-3) if clip < 1 else norm.item() > 0
    for name, gradient in whole.items():
        if clip > 1:
            assert half[name].equal(0.5 * gradient)
        torch.testing.assert_close(half[name], 0.5 * gradient, rtol=1e-5, atol=1e-12)


def test_the_reported_loss_is_not_weighted() -> None:
    one, other = (trainer(PSEUDO, weight) for weight in (1.0, 0.125))
    for update in range(4):
        assert one._compute_gradients(one._lines(update)) == other._compute_gradients(other._lines(update))


@pytest.mark.parametrize(("size", "count"), [(2, 2), (1, 4), (1, 3)])
def test_batches_of_an_update_are_one_large_batch_without_dropout(size: int, count: int) -> None:
    """Also where the last update has fewer lines than batches."""
    large, small = (
        trainer(batch_size=of_batch, accumulation=batches) for of_batch, batches in ((size * count, 1), (size, count))
    )
    for run in (large, small):
        for module in run.model.modules():
            if hasattr(module, "p"):
                module.p = 0.0
    assert large.updates == small.updates
    for update in range(large.updates):
        found, wanted = (run._compute_gradients(run._lines(update)).item() for run in (small, large))
        assert found == pytest.approx(wanted, rel=1e-5)
        for name, weight in small.model.named_parameters():
            torch.testing.assert_close(weight.grad, large.model.get_parameter(name).grad, rtol=1e-4, atol=1e-6)


def test_training_with_pseudo_labels_continues_to_the_bit(tmp_path: Path) -> None:
    assert_resumes(lambda: trainer(PSEUDO, 0.5, checkpoint_seconds=0.0, adversary="fgm"), tmp_path, 6)


def test_the_weight_changes_what_is_learnt(tmp_path: Path) -> None:
    light, heavy = (trainer(PSEUDO, weight, epochs=1) for weight in (0.1, 1.0))
    for run in (light, heavy):
        list(run.fit(tmp_path))
    assert not all(weight.equal(weights(heavy.model)[name]) for name, weight in weights(light.model).items())


@pytest.mark.parametrize("averaging", ["ema", "none"])
def test_without_held_out_lines_the_model_ends_with_the_last_average(tmp_path: Path, averaging: str) -> None:
    with_held_out = trainer(averaging=averaging, evaluations=1)
    without = trainer(averaging=averaging, evaluations=3, held_out=())
    expected, updates = list(with_held_out.fit(tmp_path / "with")), list(without.fit(tmp_path / "without"))
    assert [update.loss for update in updates] == [update.loss for update in expected]
    assert without.f1s == []
    assert all(weight.equal(without.average.shadow[name]) for name, weight in without.model.named_parameters())
    assert all(
        weight.equal(with_held_out.model.get_parameter(name)) for name, weight in without.model.named_parameters()
    )
