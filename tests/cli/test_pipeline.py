"""The whole pipeline on a tiny contest, by the commands a user types: twice the same bytes, killed and continued."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.competition import gate
from daguan.core.files import sha256_of_file
from daguan.core.settings import load
from daguan.data.format import read_labelled, read_unlabelled
from daguan.pipeline.stages import Stages
from in_process import in_process

STAGES = ("prepare", "pretrain", "train", "blend", "submit")


def words(contest: Path, root: Path, *more: str) -> list[str]:
    return [*TINY, f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}", *more]


def run(contest: Path, root: Path, *more: str) -> Path:
    """All stages in turn; returns the submission."""
    for stage in STAGES:
        assert main([stage, *config(root), *words(contest, root, *more)]) == 0
    return submission(root)


def config(root: Path) -> list[str]:
    """An empty file, so that the default preset plays no part."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "empty.yaml"
    path.touch()
    return [str(path)]


def submission(root: Path) -> Path:
    (path,) = (root / "out").glob("*.txt")
    return path


@pytest.fixture(scope="module")
def finished(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    run(contest, root)
    return root


def test_the_submission_passes_the_gate_and_labels_every_test_line(contest: Path, finished: Path) -> None:
    path = submission(finished)
    lines = len(read_unlabelled(contest / "test.txt"))
    assert gate.check(path, contest / "test.txt") == lines
    assert main(["check", str(path), str(contest / "test.txt")]) == 0


def test_the_manifest_says_where_the_submission_comes_from(contest: Path, finished: Path) -> None:
    path = submission(finished)
    manifest = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert manifest["submission_sha256"] == sha256_of_file(path)
    for name in ("train.txt", "test.txt", "corpus.txt"):
        assert manifest["data_sha256"][name] == sha256_of_file(contest / name)
    assert manifest["seed"] == 2019
    assert manifest["config"]["encoder"]["hidden"] == 32
    assert manifest["versions"]["torch"].startswith("2.")
    assert {len(folds) for folds in manifest["folds"].values()} == {2}
    assert manifest["final"] == "blend"
    assert manifest["scored_lines"] == len(read_labelled(contest / "train.txt"))
    assert set(manifest["out_of_fold"]) == {"mean", "blend", *manifest["folds"]}
    assert {name.rpartition("-")[0] for name in manifest["seconds"]} == {*STAGES, "tagger", "ngram_crf"} - {
        "train",
        "submit",
    }
    board = (path.parent / "LEADERBOARD.md").read_text("utf-8")
    assert board.count(path.stem) == 1


def test_out_of_fold_counts_cover_every_training_entity_once(contest: Path, finished: Path) -> None:
    gold = sum(len(sentence.gold) for sentence in read_labelled(contest / "train.txt"))
    manifest = json.loads(submission(finished).with_suffix(".json").read_text("utf-8"))
    assert {scores["span"]["gold"] for scores in manifest["out_of_fold"].values()} == {gold}


def test_the_same_command_again_does_nothing(contest: Path, finished: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "work").rglob("*") if path.name == "manifest.json"}
    run(contest, finished)
    said = capfd.readouterr().err
    assert said.count("skipped") == 3 + 4  # three stages and four folds
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_twice_from_scratch_gives_the_same_bytes(contest: Path, finished: Path, tmp_path: Path) -> None:
    """Once by worker processes, once without."""
    with in_process():
        again = run(contest, tmp_path)
    assert again.read_bytes() == submission(finished).read_bytes()
    assert answers(tmp_path) == answers(finished)


def answers(root: Path) -> dict[str, str]:
    """Every marginal of every fold: far more than the labels that come of them."""
    work = root / "work"
    return {str(path.relative_to(work)): sha256_of_file(path) for path in work.glob("*/fold*/*.safetensors")}


def test_each_member_has_learnt_something(finished: Path) -> None:
    """Else equal bytes would mean little."""
    manifest = json.loads(submission(finished).with_suffix(".json").read_text("utf-8"))
    assert len(answers(finished)) == 2 * 2 * 2  # members, folds, held-out and test
    assert all(scores["span"]["f1"] > 0.3 for scores in manifest["out_of_fold"].values())


def test_another_seed_gives_other_models(contest: Path, finished: Path, tmp_path: Path) -> None:
    with in_process():
        for stage in ("prepare", "pretrain"):
            assert main([stage, *config(tmp_path), *words(contest, tmp_path, "seed=7")]) == 0
    (other,) = (tmp_path / "work").glob("pretrain-*/model.safetensors")
    (ours,) = (finished / "work").glob("pretrain-*/model.safetensors")
    assert other.read_bytes() != ours.read_bytes()


def test_the_encoder_loads_with_auto_model(finished: Path) -> None:
    from transformers import AutoModelForMaskedLM

    (folder,) = (finished / "work").glob("pretrain-*")
    assert AutoModelForMaskedLM.from_pretrained(folder).config.hidden_size == 32


def test_predict_labels_a_file_like_the_submission(contest: Path, finished: Path, tmp_path: Path) -> None:
    """The blend's own models on the test file: the very lines of the submission, without any training data."""
    (blend,) = (finished / "work").glob("blend-*")
    out = tmp_path / "predicted.txt"
    assert main(["predict", str(blend), str(contest / "test.txt"), str(out)]) == 0
    ours, theirs = read_labelled(out), read_labelled(submission(finished))
    same = sum(one == other for one, other in zip(ours, theirs, strict=True))
    assert same >= len(theirs) - 1  # stored marginals are half precision: a tie may fall the other way
    models = sorted((finished / "work").glob("*/fold0/model"))
    assert len(models) == 2
    for model in models:
        assert main(["predict", str(model), str(contest / "test.txt"), str(out)]) == 0
        assert gate.check(out, contest / "test.txt") == len(theirs)


def test_a_line_longer_than_the_window_is_answered_whole(contest: Path, finished: Path) -> None:
    longest = max(read_labelled(submission(finished)), key=lambda sentence: len(sentence.tokens))
    assert len(longest.tokens) == 100


def test_runs_of_other_data_are_not_blended(
    contest: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (member,) = (finished / "work").glob("ngram_crf-*")
    other = shutil.copytree(contest, tmp_path / "other")
    lines = (other / "train.txt").read_text("utf-8").split("\n")
    (other / "train.txt").write_text("\n".join(lines[1:]), "utf-8")
    arguments = [*config(tmp_path), *words(other, finished)]
    assert main(["prepare", *arguments]) == 0
    for command in ("prepare", "blend"):
        capsys.readouterr()
        assert main([command, *arguments, f"blend.runs={member.name}"]) == 2
        assert "expected a run on these data and folds" in capsys.readouterr().err


def test_a_named_run_is_blended_without_training(
    contest: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (member,) = (finished / "work").glob("ngram_crf-*")
    assert main(["blend", *config(finished), *words(contest, finished, f"blend.runs={member.name}")]) == 0
    assert member.name in capsys.readouterr().out


def test_stages_out_of_order_name_the_missing_one(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command to run first, as one can paste it into a shell."""
    given = [*config(tmp_path), *words(contest, tmp_path), "ensemble.other={seed: 2}"]
    for stage in ("pretrain", "train", "blend", "submit", "score"):
        assert main([stage, *given, *(["--json"] if stage == "score" else [])]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        _, _, command = line.partition("; run: ")
        assert shlex.split(command) == ["python", "-m", "daguan", "prepare", *given]
    assert not (tmp_path / "out").exists()


def test_without_corpus_and_without_pretraining(contest: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("train.txt", "test.txt"):
        shutil.copy(contest / name, bare)
    with in_process():
        path = run(bare, tmp_path, "pretrain.tokens=0", "members=tagger", "model.head=crf")
    assert gate.check(path, bare / "test.txt") == 16
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["test"] is None


@pytest.mark.parametrize(
    ("stage", "sign"),
    [
        ("prepare", "prepare-*/.lock"),
        ("pretrain", "pretrain-*/checkpoint.safetensors"),
        ("train", "tagger-*/fold*/checkpoint.safetensors"),
        ("blend", "blend-*/.lock"),
    ],
)
def test_killed_in_a_stage_and_restarted_gives_the_same_bytes(
    contest: Path, finished: Path, tmp_path: Path, stage: str, sign: str
) -> None:
    """What came before the stage is taken over from the finished run; the stage is killed once it has begun."""
    work = tmp_path / "work"
    arguments = [*config(tmp_path), *words(contest, tmp_path)]
    for before in STAGES[: STAGES.index(stage)]:
        for pattern in STAGE_FOLDERS[before]:
            for folder in (finished / "work").glob(pattern):
                shutil.copytree(folder, work / folder.name, dirs_exist_ok=True)
    kill_when([stage, *arguments], lambda: any(work.glob(sign)))
    assert not list((tmp_path / "out").glob("*.txt"))
    with in_process():
        assert run(contest, tmp_path).read_bytes() == submission(finished).read_bytes()
    assert answers(tmp_path) == answers(finished)


STAGE_FOLDERS = {
    "prepare": ["prepare-*"],
    "pretrain": ["pretrain-*"],
    "train": ["tagger-*", "ngram_crf-*"],
    "blend": ["blend-*"],
}


def kill_when(arguments: list[str], reached: Callable[[], bool]) -> None:
    """Run the command in a process of its own and kill it, unasked, as soon as `reached` says so."""
    process = subprocess.Popen([sys.executable, "-m", "daguan", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not reached() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the stage was over before it could be killed"


ENSEMBLE = (
    "members=tagger,spans,ngram_crf",
    "ensemble.spans.model={encoder: modern, head: biaffine, pointer_size: 16}",
    "ensemble.spans.pretrain.tokens=1024",
    "ensemble.spans.train={epochs: 1}",
    "ensemble.spans.augmentation.recombination=0.5",
)


def test_an_ensemble_trains_what_is_new_in_it_and_blends_all(
    contest: Path, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another encoder and head beside the members that the finished run has trained: those are taken as they are."""
    shutil.copytree(finished / "work", tmp_path / "work")
    with in_process():
        path = run(contest, tmp_path, *ENSEMBLE)
    said = capfd.readouterr().err
    assert said.count("skipped") == 2 + 4  # prepare, one of two encoders, four of six folds
    assert "spans fold 1: held-out" in said
    assert gate.check(path, contest / "test.txt") == 16
    manifest = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert {name.rpartition("-")[0] for name in manifest["folds"]} == {"tagger", "spans", "ngram_crf"}
    assert len([name for name in manifest["seconds"] if name.startswith("pretrain-")]) == 2
    assert answers(finished).items() < answers(tmp_path).items()

    out = tmp_path / "predicted.txt"
    (blend,) = {file.parent for file in (tmp_path / "work").glob("blend-*/spans-*.txt")}
    assert main(["predict", str(blend), str(contest / "test.txt"), str(out)]) == 0
    pairs = zip(read_labelled(out), read_labelled(path), strict=True)
    assert sum(one == other for one, other in pairs) >= 15  # stored marginals are half precision
    run(contest, tmp_path, *ENSEMBLE)
    assert capfd.readouterr().err.count("skipped") == 1 + 2 + 6 + 1  # now all of it


def test_precision_is_part_of_a_runs_name_and_workers_are_not(contest: Path, tmp_path: Path) -> None:
    from daguan.pipeline.settings import Settings

    def keys(*more: str) -> tuple[str, str]:
        stages = Stages(load(Settings, None, words(contest, tmp_path, *more)))
        pretrain = stages.pretrain("tagger")
        assert pretrain is not None
        return pretrain.key, stages.train("tagger").key

    plain = keys()
    assert keys("engine.workers=1", "train.checkpoint_seconds=9", "name=other") == plain
    assert (keys("engine.precision=float32")[0] == plain[0]) != (keys("engine.precision=bf16")[0] == plain[0])  # auto
    assert keys("model.head=crf")[0] == plain[0]
    assert keys("model.head=crf")[1] != plain[1]
    assert keys("seed=3")[1] != plain[1]
