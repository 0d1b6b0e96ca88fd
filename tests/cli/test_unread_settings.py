"""A setting that nothing reads is refused, and the message says what it needs; every preset, factor, family and trial
still loads, and a word that switches a part of a preset off asks for no other."""

from __future__ import annotations

import random
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from benchmarks.factors import BASE, FACTORS
from benchmarks.families import MEMBERS

from daguan.core.errors import ConfigError
from daguan.core.read_settings import settings_of
from daguan.core.settings import NOTHING
from daguan.pipeline.settings import PRESETS, Settings, load
from daguan.pipeline.tune import space_of
from daguan.pipeline.tuning.runner import varied

PATHS = "encoder.checkpoint", "encoder.counts"
CONFIGS = sorted(PRESETS.glob("*.yaml"))
SHALLOW = "model.encoder=lstm encoder.ngram_buckets=9"
STILL = "model.dropout=0 model.encoder_dropout=0 model.token_dropout=0"
# a setting; words, over the default preset, with which nothing reads it; those with which it is read, the first of
# which gives the setting that the refusal names
CASES = [
    ("train.muon_learning_rate=1e-3", "", "train.optimiser=muon"),
    ("train.layer_decay=0.8", "train.frozen_layers=-1", "train.frozen_layers=1"),
    ("train.lookahead_alpha=0.8", "", "train.lookahead_steps=6"),
    ("train.lookahead_momentum=reset", "", "train.lookahead_steps=6"),
    ("pretrain.lookahead_alpha=0.8", "", "pretrain.lookahead_steps=6"),
    ("pretrain.lookahead_momentum=reset", "", "pretrain.lookahead_steps=6"),
    ("train.ema_decay=0.9", "train.averaging=swa", "train.averaging=ema"),
    ("train.swa_start=0.5", "", "train.averaging=swa"),
    ("train.fgm_epsilon=0.5", "train.adversary=awp", "train.adversary=fgm"),
    ("train.awp_epsilon=0.5", "train.adversary=fgm", "train.adversary=awp"),
    ("train.adversary_start=0.5", "", "train.adversary=fgm"),
    ("train.adversary_start=0.5", "", "train.adversary=awp"),
    ("model.dropout_average=logits", "model.dropout_samples=1", "model.dropout_samples=2"),
    ("model.dropout_samples=8", "model.dropout=0", "model.dropout=0.1"),
    ("model.r_drop=1", f"{STILL} model.ngram_buckets=0", "model.dropout=0"),
    ("model.r_drop=1", f"{STILL} model.ngram_dropout=0", STILL),
    ("model.r_drop=1", f"{STILL} model.ngram_buckets=0 {SHALLOW} encoder.ngram_dropout=0",
     f"{STILL} model.ngram_buckets=0 {SHALLOW}"),
    ("model.label_smoothing=0.1", "model.head=biaffine", "model.head=lstm_softmax"),
    ("model.boundary_smoothing=0.1", "", "model.head=crf+biaffine"),
    ("model.boundary_distance=2", "", "model.head=biaffine model.boundary_smoothing=0.1"),
    ("model.boundary_distance=2", "model.head=biaffine", "model.boundary_smoothing=0.1 model.head=biaffine"),
    ("model.pointer_size=32", "", "model.head=global_pointer"),
    ("model.beam=2", "", "model.head=lstm_pointer"),
    ("model.decoder_layers=1", "", "model.head=seq2seq"),
    ("encoder.initialisation=normal", "", "model.encoder=roberta"),
    ("encoder.checkpoint=folder", "model.encoder=lstm", "model.encoder=bert"),
    ("encoder.counts=file", "model.encoder=lstm", "model.encoder=bert encoder.checkpoint=folder"),
    ("encoder.counts=file", "", "encoder.checkpoint=folder"),
    ("model.pieces=mean", "", "encoder.checkpoint=folder"),
    ("encoder.embedding_size=64", "", "model.encoder=electra"),
    ("encoder.groups=2", "", "model.encoder=albert"),
    ("encoder.decoder_layers=1", "", "model.encoder=mass"),
    ("engine.shard=true", "", "engine.devices=2 train.accumulation=2 train.optimiser=adamw pretrain.optimiser=adamw"),
    ("encoder.memory=32", "", "model.encoder=transformer_xl"),
    ("encoder.clamp=32", "", "model.encoder=transformer_xl"),
    ("encoder.same_length=true", "", "model.encoder=transformer_xl"),
    ("encoder.same_length=true", "model.encoder=transformer_xl encoder.memory=0",
     "encoder.memory=1 model.encoder=transformer_xl"),
    ("encoder.ngram_buckets=9", "", "model.encoder=cnn"),
    ("encoder.ngram_size=16", "", SHALLOW),
    ("encoder.ngram_size=16", "model.encoder=lstm", "encoder.ngram_buckets=9 model.encoder=lstm"),
    ("encoder.ngram_dropout=0", "", SHALLOW),
    ("encoder.ngram_dropout=0", "model.encoder=lstm", "encoder.ngram_buckets=9 model.encoder=lstm"),
    ("encoder.kernel=5", "model.encoder=lstm", "model.encoder=cnn"),
    ("encoder.lstm_layers=1", "model.encoder=lstm", "model.encoder=cnn"),
    ("vectors.kind=fasttext", "", "model.encoder=cnn"),
    *((f"vectors.{word}", f"model.encoder=cnn vectors.kind={PRESETS}", "vectors.kind=word2vec model.encoder=cnn")
      for word in ("window=3", "negative=3", "learning_rate=0.1")),
    ("pretrain.generator_layers=0.5", "", "pretrain.objective=all_tokens"),
    ("pretrain.replaced_weight=10", "pretrain.objective=all_tokens", "pretrain.objective=rtd"),
    ("pretrain.fragment=0.3", "", "pretrain.objective=mass model.encoder=mass"),
    *((f"pretrain.masking.{word}", f"pretrain.objective={off}", f"pretrain.objective={on}")
      for word in ("keep=0", "random=0")
      for off, on in (("rtd", "mlm+sop"), ("all_tokens", "mass model.encoder=mass"))),
    *((f"pretrain.masking.{word}", f"model.encoder={off}", f"pretrain.objective={on}")
      for word in ("final_rate=0.15", "max_ngram=2", "ngram_lengths=uniform")
      for off, on in (("mass", "rtd"), ("transformer_xl", "mlm"))),
    *((f"pretrain.masking.{word}", "pretrain.masking.ngram_share=0", "pretrain.masking.ngram_share=0.1")
      for word in ("max_ngram=2", "ngram_lengths=uniform")),
    ("pretrain.masking.static_masks=1", "pretrain.objective=rtd", "pretrain.objective=mlm"),
    ("pretrain.masking.static_masks=1", "pretrain.masking.final_rate=0.1", "pretrain.masking.final_rate=0"),
    ("pretrain.objective=rtd", "model.encoder=lstm", "model.encoder=bert"),
    ("augmentation.outside_share=0.5", "augmentation.entity_swap=1", "augmentation.recombination=1"),
    ("augmentation.swap_rate=1", "augmentation.recombination=1", "augmentation.entity_swap=1"),
    ("conflicts.run=tagger-1", "conflicts.training=drop", "conflicts.training=relabel"),
]  # fmt: skip
ENCODERS = [f"model.encoder={name}" for name in ("bert", "mass", "transformer_xl", "lstm")]
OF_AN_ENCODER = (
    "albert",
    "albert_paper",
    "electra",
    "electra_paper",
    "lstm",
    "cnn",
    "cpu_1h",
    "cpu_night",
    "public",
    "rank9",
    "roberta_paper",
)  # no other reads all of their settings
OFF = [
    "model.head=softmax", "model.ngram_buckets=0", "pretrain.optimiser=adamw", "pretrain.tokens=0",
    "train.averaging=none", "train.frozen_layers=-1", "ensemble.cnn.vectors.kind=none", "budget.minutes=0",
]  # fmt: skip


def refusal(words: list[str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(words)
    return str(caught.value).removeprefix("command line: ")


@pytest.mark.parametrize(("setting", "off", "on"), CASES)
def test_a_setting_is_refused_where_nothing_reads_it_and_taken_where_something_does(
    setting: str, off: str, on: str
) -> None:
    name, switch = setting.partition("=")[0], on.partition("=")[0]
    default = value_of(Settings(), name)
    assert refusal([*off.split(), setting]).startswith(f"{name}: expected {default!r} unless {switch} ")
    assert value_of(load([*on.split(), setting]), name) != default
    load([*off.split(), f"{name}={NOTHING if name in PATHS else default}"])


def test_every_condition_for_a_setting_to_be_read_has_a_case() -> None:
    refused = {refusal([*off.split(), setting]).partition(", got ")[0] for setting, off, _ in CASES}
    declared = {
        f"{path}: expected {field.default!r} unless {need.words}"
        for path, field, needs in settings_of(Settings)
        for need in needs
    }
    assert declared <= refused
    assert {one.partition(":")[0] for one in refused - declared} == {"pretrain.objective"}  # which `load` looks at


def value_of(settings: Settings, name: str) -> Any:
    return reduce(getattr, name.split("."), settings)


def test_a_member_is_refused_what_it_does_not_read() -> None:
    words = ["ensemble.other.train.adversary=fgm", "ensemble.other.train.awp_epsilon=0.5"]
    assert refusal(words).startswith("ensemble.other: train.awp_epsilon: expected 0.005 unless train.adversary is awp")


def test_an_objective_is_taken_if_some_member_learns_by_it() -> None:
    load(["gpu_day", "pretrain.objective=rtd", "pretrain.generator_layers=0.5"])
    load(["cpu_1h", "pretrain.objective=mlm+nsp"])
    load(["pretrain.objective=rtd", "model.encoder=lstm", "ensemble.deep.model.encoder=bert", "members=tagger,deep"])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_word_that_switches_a_part_of_a_preset_off_asks_for_no_other(config: Path) -> None:
    for off in OFF if config.stem in OF_AN_ENCODER else [*OFF, *ENCODERS]:
        load([str(config), off])


@pytest.mark.parametrize("words", [*FACTORS.values(), *MEMBERS.values()], ids=" ".join)
def test_every_factor_and_every_family_is_taken(words: tuple[str, ...]) -> None:
    load([*BASE, *words])


def test_every_trial_of_the_search_is_taken() -> None:
    settings = load(["tune"])
    space, rng = space_of(settings), random.Random(0)
    for _ in range(50):
        drawn: dict[str, Any] = {}
        for path, axis in space.axes.items():
            if space.applies(path, drawn):
                drawn[path] = rng.choice(axis.choices or (axis.low, axis.high))
        varied(settings, drawn)
