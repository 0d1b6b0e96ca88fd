"""Members of an ensemble: settings that differ, checked when they are read; what members share and what they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daguan.core.errors import ConfigError
from daguan.core.settings import build, load, to_dict
from daguan.families.fold import FoldJob
from daguan.families.member import MemberSettings
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline.settings import PRESETS, Settings
from daguan.pipeline.settings import load as load_words
from daguan.pipeline.stages import Stages
from daguan.pipeline.train import rounds_of

YAML = """
members: [tagger, big, other, ngram_crf]
model: {encoder: modern, head: crf}
train: {epochs: 2}
ensemble:
  big: {model: {head: biaffine}, train: {encoder_learning_rate: 2e-3}}
  other: {model: {encoder: bert}, encoder: {layers: 2}}
  ngram_crf: {ngram_crf: {c2: 0.5}}
  idle: {model: {head: softmax}}
"""


def settings_of(folder: Path, *words: str, text: str = YAML) -> Settings:
    (folder / "some.yaml").write_text(text, "utf-8")
    return load(Settings, folder / "some.yaml", words)


def test_a_member_is_the_settings_with_its_own_changed(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    own = {name: getattr(settings, name) for name in MemberSettings.model_fields}
    named = settings.pretrain.replace(objective="mlm")  # what the encoder learns by where nothing is asked for
    base = MemberSettings(**own | {"pretrain": named})
    assert settings.member("tagger") == base
    assert settings.member("big") == base.replace(
        model=base.model.replace(head="biaffine"),
        train=base.train.replace(encoder_learning_rate=2e-3),
    )
    other = settings.member("other")
    assert (other.model.encoder, other.encoder.layers, other.train) == ("bert", 2, settings.train)
    baseline = settings.member("ngram_crf")
    assert (baseline.family, baseline.ngram_crf.c2) == ("ngram_crf", 0.5)


def test_the_command_line_changes_all_members_or_one(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, "train.epochs=7", "ensemble.big.train.batch_size=4", "ensemble.new.model.head=span"
    )
    assert {settings.member(name).train.epochs for name in ("tagger", "big", "other")} == {7}
    assert settings.member("big").train.batch_size == 4
    assert settings.member("big").model.head == "biaffine"
    assert settings.member("new").model.head == "span"


def test_an_objective_named_is_the_one_that_is_taken_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="members that differ"):
        settings_of(tmp_path, "members=tagger,same", "ensemble.same.pretrain.objective=mlm")


def test_another_family_is_said(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "ensemble.second.family=ngram_crf", "members=second,ngram_crf")
    assert settings.member("second").family == "ngram_crf"
    assert settings.member("second").ngram_crf != settings.member("ngram_crf").ngram_crf


def test_settings_with_an_ensemble_survive_json(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert build(Settings, json.loads(json.dumps(to_dict(settings)))) == settings


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("ensemble.big.modle.head=crf", "ensemble.big.modle: no such setting; did you mean 'model'?"),
        ("ensemble.big.model.hed=crf", "ensemble.big.model.hed: no such setting; did you mean 'head'?"),
        ("ensemble.big.train.epochs=many", "ensemble.big.train.epochs: expected int, got 'many'"),
        ("ensemble.big.train.epochs=0", "ensemble.big.train.epochs: expected at least 1, got 0"),
        (
            "ensemble.big.model.label_smoothing=0.1",
            "ensemble.big: model.label_smoothing: expected 0.0 unless model.head has softmax or crf or span or pointer",
        ),
        ("ensemble.idle.model.head=none", "ensemble.idle: model.head: expected softmax or crf or"),
        ("ensemble.big.folds.count=3", "ensemble.big.folds: expected the same folds for all members, got"),
        ("ensemble.big.ensemble.x.seed=3", "ensemble.big.ensemble: expected the same ensemble for all members, got"),
        ("ensemble.big.family=oracle", "ensemble.big.family: expected tagger or ngram_crf or soup, got 'oracle'"),
        ("ensemble.a b.seed=1", "ensemble: expected names of letters, digits"),
        ("ensemble.x=3", "ensemble.x: expected a section, got 3"),
        ("members=tagger,gone", "members: expected tagger or ngram_crf or soup or big or other or idle, got 'gone'"),
    ],
)
def test_a_mistake_in_a_member_names_it(tmp_path: Path, word: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings_of(tmp_path, word)
    assert str(error.value).startswith(f"command line: {message}")


def test_a_mistake_in_the_file_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"some\.yaml: ensemble\.x\.model\.hed: no such setting"):
        settings_of(tmp_path, text="ensemble: {x: {model: {hed: crf}}}")


def test_members_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="members: expected members that differ in a setting, got 'tagger and same"):
        settings_of(tmp_path, text="members: [tagger, same]\nensemble: {same: {model: }}")


# runs


def stages_of(contest: Path, folder: Path, *words: str) -> Stages:
    return Stages(settings_of(folder, f"data.dir={contest}", f"data.work={folder / 'work'}", *words))


def test_members_with_one_encoder_share_its_pretraining(contest: Path, tmp_path: Path) -> None:
    stages = stages_of(contest, tmp_path)
    ours, big, other = (stages.pretrain(member) for member in ("tagger", "big", "other"))
    assert ours == big != other
    assert stages.pretrain("ngram_crf") is None
    assert len({stages.train(member).path for member in stages.settings.members}) == 4
    assert [run.stage for run in stages.members] == ["big", "ngram_crf", "other", "tagger"]


def test_an_ensemble_changes_no_run_but_its_own(contest: Path, tmp_path: Path) -> None:
    plain = stages_of(contest, tmp_path, "members=tagger")
    other = stages_of(contest, tmp_path, "members=tagger,big", "ensemble.big.model.head=span", "ensemble.big.seed=4")
    assert plain.prepare == other.prepare
    assert plain.train("tagger") == other.train("tagger")
    assert plain.train("big") != other.train("big")
    assert plain.pretrain("big") != other.pretrain("big")  # a seed's own


@pytest.mark.parametrize("member", ["tagger", "ngram_crf"])
def test_augmentation_is_part_of_a_members_key(contest: Path, tmp_path: Path, member: str) -> None:
    plain = stages_of(contest, tmp_path)
    for other in (
        stages_of(contest, tmp_path, "augmentation.recombination=1"),
        stages_of(contest, tmp_path, f"ensemble.{member}.augmentation.recombination=1"),
    ):
        assert other.train(member) != plain.train(member)
        assert other.pretrain(member) == plain.pretrain(member)
    assert other.train("big") == plain.train("big")


def test_a_job_holds_its_members_settings(contest: Path, tmp_path: Path) -> None:
    stages = stages_of(contest, tmp_path)
    job = stages.fold_jobs("other", threads=1)[1]
    assert (job.name, job.settings.family, job.fold) == ("other fold 1", "tagger", 1)
    assert job.settings.model.encoder == "bert"
    assert job.pretrained == str(stages.pretrain("other").path)  # type: ignore[union-attr]
    assert job.settings == stages.settings.member("other")
    assert FoldJob.from_json(json.loads(json.dumps(job.to_json())), "job.json") == job


def test_a_member_may_have_any_encoder(contest: Path, tmp_path: Path) -> None:
    for encoder, entry in ENCODERS.items():
        words = [f"ensemble.new.model.encoder={encoder}", f"ensemble.new.pretrain.objective={entry.objective or 'mlm'}"]
        words += [] if entry.from_scratch else ["ensemble.new.encoder.checkpoint=somewhere"]
        stages = stages_of(contest, tmp_path, *words, "members=new")
        assert stages.settings.member("new").model.encoder == encoder


def test_the_example_shares_what_it_says() -> None:
    stages = Stages(load(Settings, PRESETS / "ensemble.yaml"))
    settings = {member: stages.settings.member(member) for member in stages.settings.members}
    pretrained = ("encoder", "pretrain", "seed")
    one, two, bert = (settings[name] for name in ("modern_crf", "modern_biaffine", "bert_lstm_crf"))
    assert [getattr(one, name) for name in pretrained] == [getattr(two, name) for name in pretrained]
    assert (one.model.encoder, two.model.encoder, bert.model.encoder) == ("modern", "modern", "bert")


NEEDY = """
members: [late, tagger]
ensemble:
  tagger: {model: {head: softmax}}
  first: {model: {head: span}}
  later: {pseudo_labels: {teachers: [first, ngram_crf]}}
  late: {pseudo_labels: {teachers: [later, first]}}
"""


def test_members_are_trained_after_all_they_need(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, text=NEEDY)
    assert settings.trained == ["first", "ngram_crf", "later", "late", "tagger"]
    assert rounds_of(settings) == [["first", "ngram_crf", "tagger"], ["later"], ["late"]]


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("ensemble.first.pseudo_labels.teachers=[late]", "pseudo_labels.teachers of later: expected members that do"),
        ("ensemble.first.pseudo_labels.teachers=[nobody]", "pseudo_labels.teachers of first: expected tagger or"),
    ],
)
def test_no_member_needs_itself_or_one_that_is_not_there(tmp_path: Path, word: str, place: str) -> None:
    (tmp_path / "some.yaml").write_text(NEEDY, "utf-8")
    with pytest.raises(ConfigError, match=place):
        load_words([str(tmp_path / "some.yaml"), word])
