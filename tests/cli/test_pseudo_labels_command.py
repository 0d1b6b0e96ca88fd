"""A tagger taught by two n-gram CRFs, and a late one that it teaches in turn, by the commands a user types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.competition import gate
from daguan.core.errors import DataError
from daguan.data.format import read_labelled, read_unlabelled
from daguan.ensemble.pseudo_labels import TeacherBlend, Teachers, corpus_sample
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from in_process import in_process

CHOICE = "corpus_lines: 20, confidence: 0.5"
STUDENT = f"pseudo_labels: {{teachers: [ngram_crf, other], {CHOICE}}}"
TAUGHT = [
    *TINY,
    "pretrain.tokens=0",
    "members=student,late,ngram_crf",
    "ensemble.other={family: ngram_crf, ngram_crf: {c1: 1}}",
    f"ensemble.late={{family: ngram_crf, pseudo_labels: {{teachers: [student, ngram_crf], {CHOICE}, weight: 1}}}}",
    f"ensemble.student={{model: {{head: crf}}, train: {{epochs: 1, evaluations: 1}}, {STUDENT}}}",
]


def words(contest: Path, root: Path, *more: str) -> list[str]:
    root.mkdir(exist_ok=True)
    (root / "empty.yaml").touch()
    places = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return [str(root / "empty.yaml"), *TAUGHT, *places, *more]


def stages(contest: Path, root: Path, *more: str) -> Stages:
    return Stages(load(words(contest, root, *more)))


@pytest.fixture(scope="module")
def root(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("taught")
    with in_process():
        for stage in ("prepare", "train", "blend", "submit"):
            assert main([stage, *words(contest, root)]) == 0
    return root


def pseudo(contest: Path, root: Path, member: str = "student") -> Path:
    run = stages(contest, root).pseudo_labels(member)
    assert run is not None
    return run.path


def result(root: Path, member: str, fold: int) -> dict[str, Any]:
    (path,) = (root / "work").glob(f"{member}-*/fold{fold}/result.json")
    return dict(json.loads(path.read_text("utf-8")))


def test_the_submission_passes_the_gate_and_names_the_run(contest: Path, root: Path) -> None:
    (path,) = (root / "out").glob("*.txt")
    assert gate.check(path, contest / "test.txt") == 16
    manifest = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert {pseudo(contest, root, member).name for member in ("student", "late")} < set(manifest["seconds"])
    assert {name.rpartition("-")[0] for name in manifest["folds"]} == {"student", "late", "ngram_crf"}


@pytest.mark.parametrize("member", ["student", "late"])
def test_students_are_trained_on_their_folds_lines(contest: Path, root: Path, member: str) -> None:
    folder = pseudo(contest, root, member)
    told = json.loads((folder / "manifest.json").read_text("utf-8"))["by_fold"]
    assert len(told) == 2
    for fold, counts in enumerate(told):
        lines = read_labelled(folder / f"fold{fold}.txt")
        assert counts["test"]["kept"] + counts["corpus"]["kept"] == len(lines) > 0
        assert sum(count["entities"] for count in counts.values()) == sum(len(line.gold) for line in lines) > 0
        assert counts["corpus"]["offered"] == 20
        assert result(root, member, fold)["pseudo_labelled_lines"] == len(lines)
        assert result(root, "ngram_crf", fold)["pseudo_labelled_lines"] == 0


def test_lines_are_of_test_and_corpus_and_none_stands_in_train(contest: Path, root: Path) -> None:
    train = {line.tokens for line in read_labelled(contest / "train.txt")}
    texts = [line.tokens for line in read_labelled(pseudo(contest, root) / "fold0.txt")]
    offered = {line.tokens for name in ("test", "corpus") for line in read_unlabelled(contest / f"{name}.txt")}
    assert len(set(texts)) == len(texts)
    assert set(texts) <= offered - train


@pytest.mark.parametrize("member", ["student", "late"])
def test_killed_in_a_fold_or_done_anew_it_writes_the_same(
    contest: Path, root: Path, tmp_path: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fold by its own teachers."""
    asked: list[int] = []
    blend_of = Teachers.blend

    def noted(teachers: Teachers, fold: int) -> TeacherBlend:
        asked.append(fold)
        return blend_of(teachers, fold)

    monkeypatch.setattr(Teachers, "blend", noted)
    shutil.copytree(root / "work", tmp_path / "work")
    files = {path.name: path.read_bytes() for path in pseudo(contest, root, member).glob("fold*")}
    copy = pseudo(contest, tmp_path, member)
    assert len(files) == 4
    for gone in (("manifest.json", "fold1.json"), ("manifest.json", *files)):
        for name in gone:
            (copy / name).unlink()
        assert main(["train", *words(contest, tmp_path)]) == 0
        assert {path.name: path.read_bytes() for path in copy.glob("fold*")} == files
    assert asked == [1, 0, 1]


def test_other_commands_know_such_members(
    contest: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", *words(contest, root)]) == 0
    assert "student-" in capsys.readouterr().out
    (blend,) = (root / "work").glob("blend-*")
    assert main(["predict", str(blend), str(contest / "test.txt"), str(tmp_path / "out.txt")]) == 0
    (submission,) = (root / "out").glob("*.txt")
    pairs = zip(read_labelled(tmp_path / "out.txt"), read_labelled(submission), strict=True)
    assert sum(one == other for one, other in pairs) >= 15  # stored marginals are half precision


@pytest.mark.parametrize(
    ("word", "other_labels", "other_student"),
    [
        ("ensemble.student.pseudo_labels.weight=0.7", False, True),
        ("ensemble.student.pseudo_labels.confidence=0.7", True, True),
        ("ensemble.student.pseudo_labels.teachers=[ngram_crf]", True, True),
        ("ensemble.student.pseudo_labels.teachers=[other,ngram_crf]", False, False),
        ("ensemble.other.ngram_crf.c1=2", True, True),
        ("blend.method=mean", True, True),
        ("ensemble.student.seed=5", False, True),
        ("blend.lookup=true", False, False),
    ],
)
def test_what_is_in_whose_key(contest: Path, root: Path, word: str, other_labels: bool, other_student: bool) -> None:
    plain, other = stages(contest, root), stages(contest, root, word)
    assert (other.pseudo_labels("student") != plain.pseudo_labels("student")) is other_labels
    assert (other.train("student") != plain.train("student")) is other_student
    assert other.pseudo_labels("ngram_crf") is None
    assert other.train("ngram_crf") == plain.train("ngram_crf")


def test_students_with_the_same_teachers_and_choice_share_what_they_are_taught(contest: Path, root: Path) -> None:
    more = f"ensemble.third={{family: ngram_crf, seed: 5, pseudo_labels: {{teachers: [other, ngram_crf], {CHOICE}}}}}"
    there = stages(contest, root, more)
    assert there.pseudo_labels("third") == there.pseudo_labels("student") != there.pseudo_labels("late")


def test_without_a_corpus_the_test_lines_are_what_there_is(
    contest: Path, root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("train.txt", "test.txt"):
        shutil.copy(contest / name, bare)
    there = stages(bare, tmp_path)
    asked = there.settings.member("student").pseudo_labels
    assert corpus_sample(bare / "corpus.txt", asked, [], 1) == []
    assert "no corpus.txt" in capfd.readouterr().err
    only = stages(bare, tmp_path, "ensemble.student.pseudo_labels.test=false").settings.member("student").pseudo_labels
    with pytest.raises(DataError, match=r"expected a corpus, as pseudo_labels\.test is false"):
        corpus_sample(bare / "corpus.txt", only, [], 1)


def test_teachers_answer_the_lines_that_take_part(contest: Path, tmp_path: Path) -> None:
    asked = words(contest, tmp_path, "folds.lines=40", "members=late,ngram_crf", "ensemble.late.pseudo_labels.weight=1",
                  "ensemble.late.pseudo_labels.teachers=[ngram_crf]")  # fmt: skip
    with in_process():
        for stage in ("prepare", "train", "blend"):
            assert main([stage, *asked]) == 0
    (manifest,) = (tmp_path / "work").glob("late-*/manifest.json")
    assert sum(fold["held_out_lines"] for fold in json.loads(manifest.read_text("utf-8"))["folds"]) == 40


def test_known_lines_are_not_drawn_from_the_corpus(contest: Path, tmp_path: Path) -> None:
    there = stages(contest, tmp_path, "ensemble.student.pseudo_labels.corpus_lines=1000")
    asked = there.settings.member("student").pseudo_labels
    corpus = read_unlabelled(contest / "corpus.txt")
    found = corpus_sample(contest / "corpus.txt", asked, corpus[:10], 1)
    assert set(found) == set(corpus) - set(corpus[:10])


@pytest.mark.parametrize(
    ("command", "word", "message"),
    [
        ("train", "ensemble.late.pseudo_labels.weight=0.5", "pseudo_labels.weight of late: expected 1 with family"),
        ("train", "ensemble.student.pseudo_labels.teachers=[other,other]", "teachers: expected distinct members"),
        ("tune", "tune.member=student", "tune.member: expected a member without pseudo_labels.teachers"),
        ("tune", "tune.space={pseudo_labels.weight: {low: 0.1, high: 1}}", "tune.space.pseudo_labels.weight: expected"),
    ],
)
def test_what_cannot_be_done_is_refused(
    contest: Path, root: Path, command: str, word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *words(contest, root, word)]) == 2
    assert message in capsys.readouterr().err


def test_a_member_that_takes_no_part_may_be_what_it_likes(contest: Path, root: Path) -> None:
    more = ("members=ngram_crf", "ensemble.late.pseudo_labels.weight=0.5")
    assert stages(contest, root, *more).settings.trained == ["ngram_crf"]
