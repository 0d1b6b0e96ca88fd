"""A run that is interrupted after any update and resumed ends with the bits of an uninterrupted one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daguan.core.errors import StoppedError
from daguan.core.settings import build
from daguan.core.types import labels_of
from daguan.data.batches.packing import Blocks, NumberedText, write_token_file
from daguan.data.format import read_labelled
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.experiments.geometry.tasks import TASKS
from daguan.experiments.pointer_settings import PointingSettings
from daguan.experiments.pointer_training import PointerTrainer
from daguan.models.encoders.loading import new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import FROM_SCRATCH, PRETRAINED, learns
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.loop import Trainer
from daguan.training.objectives.base import HeldOut
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.prediction import TrainedTagger
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer
from resuming import assert_resumes, assert_same_state

BERT = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32, embedding_size=32)
ENGINE = EngineSettings(device="cpu")
MASKED = [name for name in PRETRAINED if learns(name, "mlm")]
NGRAM_READERS = ("bert", "roberta", "modern")  # from the start


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def blocks_of(folder: Path, contest: Path) -> tuple[Blocks, Vocabulary]:
    lines = (contest / "corpus.txt").read_text("utf-8").split("\n")
    vocabulary = Vocabulary([*SPECIALS, *sorted({token for line in lines for token in line.split("_")})])
    return write_blocks(folder, lines, vocabulary), vocabulary


def write_blocks(folder: Path, lines: list[str], vocabulary: Vocabulary) -> Blocks:
    text = NumberedText(BytesIO())
    for line in lines:
        text.add(line)
    write_token_file(folder / "tokens.u2", text.ids(vocabulary))
    return Blocks(folder / "tokens.u2", BERT.max_length)


def pretrainer(
    folder: Path,
    contest: Path,
    optimiser: str,
    architecture: str = "bert",
    engine: EngineSettings = ENGINE,
    **more: Any,
) -> Pretrainer:
    blocks, vocabulary = blocks_of(folder, contest)
    values = {"tokens": 12 * 8 * 32, "batch_size": 8, "optimiser": optimiser, "checkpoint_seconds": 0}
    settings = build(PretrainSettings, values | more)
    return Pretrainer(architecture, BERT, settings, engine, blocks, len(vocabulary), seed=1)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name


@pytest.mark.parametrize(
    ("architecture", "optimiser", "cut", "threads"),
    [
        *((architecture, "muon", *how) for architecture in ("bert", "modern") for how in ((1, 1), (5, 2), (12, 1))),
        *(("bert", "adamw", *how) for how in ((1, 1), (5, 2), (12, 1))),
        *((architecture, "muon", 5, 2) for architecture in MASKED if architecture not in ("bert", "modern")),
    ],
)
def test_pretraining_continues_to_the_bit(
    tmp_path: Path, contest: Path, architecture: str, optimiser: str, cut: int, threads: int
) -> None:
    prepare_process(threads)
    assert_pretraining_resumes(lambda: pretrainer(tmp_path, contest, optimiser, architecture), tmp_path, cut)


@pytest.mark.parametrize(
    ("objective", "architecture"),
    [
        (objective, name if learns(name, objective) else next(one for one in PRETRAINED if learns(one, objective)))
        for objective, name in zip(OBJECTIVES, cycle(PRETRAINED), strict=False)
    ],
)
def test_every_objective_continues_to_the_bit(tmp_path: Path, contest: Path, objective: str, architecture: str) -> None:
    """With what changes from update to update: rates of masking, and batches gathered on two threads."""
    prepare_process(2)
    more = {"objective": objective, "tokens": 4 * 8 * 32, "batch_size": 4, "accumulation": 2}
    more |= {"masking": {"rate": 0.3, "final_rate": 0.15}}
    assert_pretraining_resumes(lambda: pretrainer(tmp_path, contest, "muon", architecture, **more), tmp_path, 2)


def assert_pretraining_resumes(make: Callable[[], Pretrainer], folder: Path, cut: int) -> None:
    whole, resumed = assert_resumes(make, folder, cut)
    assert resumed.evaluate() == whole.evaluate()


@pytest.mark.parametrize(("objective", "architecture"), [("all_tokens", "modern"), ("causal", "transformer_xl")])
def test_threads_in_bf16_give_the_same_bits_twice(
    tmp_path: Path, contest: Path, objective: str, architecture: str
) -> None:
    """Some weights are used twice in an update: their gradients must not depend on which thread is first."""
    prepare_process(2)
    engine, more = EngineSettings(device="cpu", precision="bf16"), {"objective": objective, "tokens": 3 * 8 * 32}
    trainers = []
    for folder in ("one", "two"):
        trainers.append(pretrainer(tmp_path, contest, "muon", architecture, engine, **more))
        assert len(list(trainers[-1].fit(tmp_path / folder))) == 3
    assert_same_bits(*(weights(trainer.model) for trainer in trainers))


def test_threads_that_share_an_update_change_nothing_but_rounding(tmp_path: Path, contest: Path) -> None:
    """Two threads each take half of every batch; the update is that of one thread with all of it."""
    trainers = []
    exact = EngineSettings(device="cpu", precision="float32")
    for threads in (1, 2):
        prepare_process(threads)
        trainers.append(pretrainer(tmp_path, contest, "adamw", "modern", exact))
        assert len(trainers[-1].replicas.models) == threads
        for _ in zip(range(3), trainers[-1].fit(tmp_path / str(threads)), strict=False):
            pass
    one, two = map(weights, (trainer.model for trainer in trainers))
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)
    of_one, of_two = (trainer.evaluate()["mlm"].loss for trainer in trainers)
    assert of_one == pytest.approx(of_two, rel=1e-4)


def learnt(folder: Path, architecture: str, lines: list[str], updates: int) -> tuple[HeldOut, HeldOut]:
    """Returns the state before and after that number of updates on lines with tokens 0 to 39."""
    vocabulary = Vocabulary([*SPECIALS, *map(str, range(40))])
    settings = PretrainSettings(tokens=updates * 8 * 32, batch_size=8, learning_rate=1e-2)
    blocks = write_blocks(folder, lines, vocabulary)
    trainer = Pretrainer(architecture, BERT, settings, ENGINE, blocks, len(vocabulary), seed=1)
    before = trainer.evaluate()["mlm"]
    losses = [update.loss for update in trainer.fit(folder / "run")]
    assert losses[-1] < losses[0]
    return before, trainer.evaluate()["mlm"]


@pytest.mark.parametrize("architecture", NGRAM_READERS)
def test_pretraining_learns_a_text_in_which_each_token_follows_from_its_neighbours(
    tmp_path: Path, architecture: str
) -> None:
    lines = ["_".join(str((start + place) % 40) for place in range(30)) for start in range(40)]
    before, after = learnt(tmp_path, architecture, lines, 150)
    assert before.loss == pytest.approx(np.log(40), rel=0.1)
    assert after.loss < before.loss / 2
    assert after.accuracy > 0.5


@pytest.mark.parametrize("architecture", [name for name in MASKED if name not in NGRAM_READERS])
def test_pretraining_learns_a_text_in_which_each_token_follows_from_its_line(tmp_path: Path, architecture: str) -> None:
    """What neighbours say takes those that start at random longer to find out."""
    rng = np.random.default_rng(0)
    lines = ["_".join(str(number % 20 * 2 + coin) for coin in rng.integers(0, 2, 30)) for number in range(160)]
    before, after = learnt(tmp_path, architecture, lines, 150)
    assert before.loss == pytest.approx(np.log(40), rel=0.1)
    assert after.loss < before.loss * 0.8
    assert after.accuracy > 0.2


def test_each_epoch_reads_every_training_block_once_and_masks_afresh(tmp_path: Path, contest: Path) -> None:
    trainer = pretrainer(tmp_path, contest, "adamw")
    train, read = trainer.objective.train, trainer.objective.batch
    count = len(train)
    size = trainer.settings.batch_size
    batches = [read(update) for update in range(2 * count // size)]
    rows = [tuple(row) for batch in batches for row in restored(batch.inputs, batch.positions, batch.labels)]
    expected = sorted(tuple(row) for row in trainer.objective.plan.blocks.take(train))
    assert sorted(rows[:count]) == expected
    assert rows[:count] != rows[count : 2 * count]
    again = read(1)
    assert np.array_equal(again.inputs, batches[1].inputs)


def restored(inputs: np.ndarray, positions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    whole = inputs.copy()
    np.put_along_axis(whole, positions, labels, axis=1)
    return whole


def tagger_trainer(
    contest: Path,
    engine: EngineSettings = ENGINE,
    architecture: str = "bert",
    head: str = "lstm_crf",
    **tricks: Any,
) -> TaggerTrainer:
    sentences = read_labelled(contest / "train.txt")
    scheme = TagScheme(labels_of(sentences))
    vocabulary = Vocabulary([*SPECIALS, *sorted({token for s in sentences for token in s.tokens})])
    model = build(ModelSettings, {"lstm_hidden": 16, "head": head})
    torch.manual_seed(3)
    tagger = Tagger(new_encoder(architecture, BERT, len(vocabulary), model.encoder_dropout), scheme, model)
    trained = TrainedTagger(tagger, scheme, vocabulary, model, BERT.window, 10)
    settings = TrainSettings(**({"epochs": 2, "batch_size": 8, "evaluations": 3, "checkpoint_seconds": 0} | tricks))
    return TaggerTrainer(trained, settings, engine, sentences[:40], sentences[40:], seed=5)


RANGER = {"optimiser": "radam", "lookahead_steps": 3, "schedule": "flat_cosine", "beta1": 0.95, "warmup": 0.0}
TRICKS: dict[str, dict[str, Any]] = {
    "default": {},
    "ranger, none": RANGER | {"averaging": "none"},
    "ranger, ema, awp": RANGER | {"averaging": "ema", "adversary": "awp", "adversary_start": 0.3},
    "muon, lookahead, swa, fgm": {
        "optimiser": "muon", "lookahead_steps": 4, "lookahead_momentum": "pullback", "averaging": "swa",
        "swa_start": 0.4, "adversary": "fgm", "frozen_epochs": 1,
    },
    "adamw, reset, frozen": {"lookahead_steps": 4, "lookahead_momentum": "reset", "frozen_layers": 1},
    "frozen encoder, often evaluated": {"frozen_layers": -1, "evaluations": 10},
}  # fmt: skip
CUTS = [
    ("bert", "default", 1), ("bert", "default", 6), ("bert", "default", 8), ("bert", "ranger, none", 5),
    ("bert", "ranger, ema, awp", 5), ("bert", "muon, lookahead, swa, fgm", 6), ("bert", "adamw, reset, frozen", 5),
    ("bert", "frozen encoder, often evaluated", 2), *((name, "default", 6) for name in FROM_SCRATCH if name != "bert"),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "tricks", "cut"), CUTS)
def test_tagging_continues_to_the_bit(tmp_path: Path, contest: Path, architecture: str, tricks: str, cut: int) -> None:
    """10 updates in 2 epochs; the cuts lie within a cycle of Lookahead, within the average, after thawing."""
    assert_resumes(lambda: tagger_trainer(contest, architecture=architecture, **TRICKS[tricks]), tmp_path, cut)


@pytest.mark.parametrize(("architecture", "head"), [("bert", "pointer"), ("mass", "seq2seq")])
def test_heads_that_decode_continue_to_the_bit(tmp_path: Path, contest: Path, architecture: str, head: str) -> None:
    assert_resumes(lambda: tagger_trainer(contest, architecture=architecture, head=head), tmp_path, 6)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("threads", [1, 2])
def test_pointer_networks_resume_to_the_bit(tmp_path: Path, task: str, threads: int) -> None:
    prepare_process(threads)
    assert_resumes(lambda: pointer_trainer(task), tmp_path, 3)


def pointer_trainer(task: str = "tsp", checkpoint_seconds: float = 0.0) -> PointerTrainer:
    values = {"n": 4, "hidden": 8, "batch_size": 6, "updates": 6, "device": "cpu"}
    return PointerTrainer(task, build(PointingSettings, values | {"checkpoint_seconds": checkpoint_seconds}))


@pytest.mark.parametrize("kind", ["pretraining", "fine-tuning", "pointer network"])
def test_a_terminated_run_saves_its_update_and_the_rerun_ends_with_the_same_bits(
    tmp_path: Path, contest: Path, kind: str
) -> None:
    def make() -> Trainer[Any]:
        never = {"checkpoint_seconds": 1e9}
        if kind == "pretraining":
            return pretrainer(tmp_path, contest, "muon", "modern", **never)
        return tagger_trainer(contest, **never) if kind == "fine-tuning" else pointer_trainer(**never)

    whole, stopped, rerun = make(), make(), make()
    reports, updates = list(whole.steps()), stopped.fit(tmp_path)
    assert [next(updates) for _ in range(3)] == reports[:3]
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(StoppedError, match="stopped after update 3"):
        next(updates)
    assert list(rerun.fit(tmp_path)) == reports[3:]
    assert_same_state(whole, rerun)
