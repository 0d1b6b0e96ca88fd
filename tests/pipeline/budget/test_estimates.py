"""An estimate follows its machine and its sizes, and leaves out what is finished."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import TINY
from daguan.pipeline import prepare
from daguan.pipeline.budget.allotment import FOLD, PRETRAIN
from daguan.pipeline.budget.estimates import (
    FINE_TUNING,
    LABELLING,
    NGRAM_CRF,
    SPEED,
    STARTING,
    Sizes,
    Speeds,
    most_tokens,
    tasks_of,
)
from daguan.pipeline.estimate import Estimate, Machine, estimated, read_sizes, stated_machine, stated_sizes
from daguan.pipeline.settings import Settings, load
from daguan.pipeline.stages import Stages

ENSEMBLE = ["ensemble={second: {seed: 1}}", "members=[tagger, second, ngram_crf]"]
OFFICIAL = (17_000, 3_000, 93_000_000)


@pytest.fixture
def asked(contest: Path, tmp_path: Path) -> Settings:
    return load([*TINY, *ENSEMBLE, f"data.dir={contest}", f"data.work={tmp_path / 'work'}"])


def seconds(asked: Settings, machine: Machine, sizes: Sizes | None = None, speed: float = SPEED) -> list[float]:
    stages = Stages(asked)
    found = estimated(stages, sizes or read_sizes(stages)[0], 1_000, Speeds(speed), machine)
    return [stage.seconds for stage in found.stages]


def no_longer(ones: list[float], others: list[float]) -> bool:
    return all(one <= other + 1e-9 for one, other in zip(ones, others, strict=True))


def test_more_cores_or_gpus_never_take_longer(asked: Settings) -> None:
    by_cores = [seconds(asked, Machine(cores)) for cores in (1, 2, 3, 5, 8, 64)]
    assert all(no_longer(more, fewer) for fewer, more in pairwise(by_cores))
    assert sum(by_cores[1]) < sum(by_cores[0])
    by_gpus = [seconds(asked, Machine(4, gpus)) for gpus in (1, 2, 4, 8)]
    assert all(no_longer(more, fewer) for fewer, more in pairwise(by_gpus))


def test_more_text_or_a_slower_machine_never_take_less(asked: Settings) -> None:
    small, sizes = Machine(2), read_sizes(Stages(asked))[0]
    now = seconds(asked, small, sizes)
    for name in ("lines", "tokens", "entities", "test_tokens", "text_tokens"):
        assert no_longer(now, seconds(asked, small, replace(sizes, **{name: 3 * getattr(sizes, name)}))), name
    assert no_longer(now, seconds(asked, small, sizes, SPEED / 2))


def test_evaluations_before_the_end_take_the_time_to_label_the_held_out_lines(asked: Settings) -> None:
    sizes = read_sizes(Stages(asked))[0]
    once, more = (
        seconds(asked.replace(train=asked.train.replace(evaluations=evaluations)), Machine(1), sizes)[2]
        for evaluations in (1, 4)
    )
    assert more - once == pytest.approx(2 * 3 * sizes.tokens / (LABELLING * SPEED))  # two taggers, all folds together


def test_finished_stages_take_nothing(asked: Settings) -> None:
    def estimate() -> Estimate:
        return stated_machine(asked, None, SPEED, 0.0, 0)

    before = {stage.stage: stage for stage in estimate().stages}
    assert all(stage.seconds > 0 and stage.memory > 0 and stage.disk > 0 for stage in before.values())
    prepare.make(asked)
    after = {stage.stage: stage for stage in estimate().stages}
    assert (after["prepare"].seconds, after["prepare"].memory, after["prepare"].disk) == (0, 0, 0)
    Stages(asked).train("ngram_crf").finish(1.0)
    assert 0 < estimate().stages[2].disk < after["train"].disk
    for member in ("tagger", "second"):
        run = Stages(asked).pretrain(member)
        assert run is not None
        run.finish(1.0)
        Stages(asked).train(member).finish(1.0)
    assert [stage.stage for stage in estimate().stages if stage.seconds] == ["blend", "submit"]


def test_sizes_before_prepare_are_near_those_after_it(asked: Settings) -> None:
    before, entries = read_sizes(Stages(asked))
    prepare.make(asked)
    after, counted = read_sizes(Stages(asked))
    assert replace(before, text_tokens=0) == replace(after, text_tokens=0)
    assert before.text_tokens == pytest.approx(after.text_tokens, rel=0.2)
    assert entries == counted


def test_a_budget_is_estimated_within_its_minutes(asked: Settings) -> None:
    budget = asked.budget.replace(minutes=60.0)
    found = stated_machine(asked.replace(budget=budget), (6_000, 1_000, 5_000_000), SPEED, 0.0, 0)
    assert 0.5 * 3_600 < found.seconds <= 3_600
    little = asked.replace(budget=budget.replace(minutes=6.0))
    few = stated_machine(little, (6_000, 1_000, 5_000_000), SPEED, 0.0, 0)
    assert set(few.members) < set(found.members)


def test_a_matrix_rate_says_the_same_as_the_speed_that_follows_from_it(asked: Settings) -> None:
    by_rate = stated_machine(asked, OFFICIAL, 0.0, 1e12, 0)
    (speed,) = {*by_rate.speeds.encoders.values()}
    by_speed = stated_machine(asked, OFFICIAL, speed, 0.0, 0)
    assert by_speed.stages[1].seconds == pytest.approx(by_rate.stages[1].seconds)
    twice = stated_machine(asked, OFFICIAL, 0.0, 2e12, 0)
    assert twice.stages[1].seconds < by_rate.stages[1].seconds


def test_a_larger_encoder_needs_more(tmp_path: Path) -> None:
    found = [stated_machine(load([name]), OFFICIAL, 0.0, 1e14, 1) for name in ("small", "base8", "base12")]
    memory = [max(stage.gpu_memory for stage in one.stages) for one in found]
    assert memory == sorted(memory)
    assert memory[0] < memory[1] < memory[2]


def test_what_is_not_measured_follows_from_pretraining_by_the_budget_s_ratios(asked: Settings) -> None:
    prepare.make(asked)
    stages, sizes = Stages(asked), stated_sizes(*OFFICIAL, folds=2)
    tasks = {(task.kind, task.member): task for task in tasks_of(stages, ["tagger", "ngram_crf"], sizes, Speeds(2_000))}
    pretraining, tagger, crf = (tasks[key] for key in ((PRETRAIN, "tagger"), (FOLD, "tagger"), (FOLD, "ngram_crf")))
    made = asked.member("tagger")
    assert pretraining.most == made.pretrain.tokens / 2_000
    assert tagger.most == made.train.epochs * (sizes.fold_tokens / (2_000 * FINE_TUNING))
    assert crf.most == made.ngram_crf.iterations * (sizes.fold_tokens / (2_000 * NGRAM_CRF))
    assert crf.overhead == STARTING + (sizes.tokens / 2 + sizes.test_tokens) / (LABELLING * 2_000)
    assert pretraining.overhead == STARTING


@pytest.mark.parametrize(("passes", "masked", "causal"), [(20.0, 20_000, 5_000), (5.0, 5_000, 5_000), (0.5, 500, 500)])
def test_a_causal_objective_gets_fewer_passes_over_a_small_text(
    asked: Settings, passes: float, masked: int, causal: int
) -> None:
    ensemble = {"second": asked.ensemble["second"] | {"model": {"encoder": "transformer_xl"}}}
    limited = asked.replace(ensemble=ensemble, budget=asked.budget.replace(passes=passes))
    assert most_tokens(limited, "tagger", 1_000) == masked
    assert most_tokens(limited, "second", 1_000) == causal
