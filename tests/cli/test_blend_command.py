"""`blend`, `submit`, `predict` and `runs` over trained members, by every method, on a tiny contest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.competition import gate
from daguan.ensemble.blend_settings import METHODS
from in_process import in_process

MEMBERS = ("members=tagger,ngram_crf", "pretrain.tokens=0", "train.epochs=2")


def words(contest: Path, root: Path, *more: str) -> list[str]:
    root.mkdir(exist_ok=True)
    (root / "empty.yaml").touch()
    folders = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return [str(root / "empty.yaml"), *TINY, *MEMBERS, *folders, *more]


@pytest.fixture(scope="module")
def trained(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    with in_process():
        for stage in ("prepare", "train"):
            assert main([stage, *words(contest, root)]) == 0
    return root


def submitted(contest: Path, root: Path, *more: str) -> Path:
    """Blend and submit into a folder of its own; returns the submission."""
    out = root / "-".join(["out", *more]).replace("/", "_")
    for stage in ("blend", "submit"):
        assert main([stage, *words(contest, root, *more, f"data.submissions={out}")]) == 0
    (path,) = out.glob("*.txt")
    return path


@pytest.mark.parametrize("method", METHODS)
def test_a_method_from_blend_to_predict(contest: Path, trained: Path, tmp_path: Path, method: str) -> None:
    """Twice the same bytes, and again the same from the models alone."""
    path = submitted(contest, trained, f"blend.method={method}")
    assert gate.check(path, contest / "test.txt") == 16
    manifest = json.loads(path.with_suffix(".json").read_text("utf-8"))
    others = list(manifest["out_of_fold"])[:-1]
    assert (manifest["method"], manifest["final"], list(manifest["gains"])) == (method, "blend", others)
    assert (others[-1] == "mean") == (method != "mean")

    again = tmp_path / "again"
    shutil.copytree(trained, again, ignore=shutil.ignore_patterns("blend-*", "out-*"))
    assert submitted(contest, again, f"blend.method={method}").read_bytes() == path.read_bytes()
    (blend,) = (again / "work").glob("blend-*")
    assert main(["predict", str(blend), str(contest / "test.txt"), str(tmp_path / "predicted.txt")]) == 0
    assert (tmp_path / "predicted.txt").read_bytes() == path.read_bytes()


def test_each_method_and_seed_has_a_run_of_its_own_and_the_order_of_runs_has_none(contest: Path, trained: Path) -> None:
    from daguan.pipeline.settings import load
    from daguan.pipeline.stages import Stages

    def key(*more: str) -> str:
        return Stages(load(words(contest, trained, *more))).blend.key

    one, other = sorted(path.name for path in (trained / "work").glob("*r*-*") if "prepare" not in path.name)[:2]
    keys = {key(f"blend.method={method}") for method in METHODS} | {key("blend.method=weights", "seed=3")}
    assert len(keys) == len(METHODS) + 1
    assert key(f"blend.runs=[{one},{other}]") == key(f"blend.runs=[{other},{one}]")


def test_the_command_says_where_a_blend_is_no_better(
    contest: Path, trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the final table again, of whatever scores were reported."""
    assert main(["blend", *words(contest, trained, "blend.method=mean")]) == 0
    printed = capsys.readouterr()
    manifests = [json.loads(path.read_text("utf-8")) for path in (trained / "work").glob("blend-*/manifest.json")]
    (found,) = [manifest for manifest in manifests if manifest["method"] == "mean"]
    assert "the blend's gain over" in printed.out
    f1 = {name: scores["span"]["f1"] for name, scores in found["out_of_fold"].items()}
    ngrams = next(name for name in f1 if name.startswith("ngram_crf"))
    best = max(f1.keys() - {"blend"}, key=lambda name: f1[name])
    expected = {name for name in (ngrams, best) if f1["blend"] <= f1[name]}
    assert {name for name in f1 if f"no better than {name}, " in printed.err} == expected

    monkeypatch.setattr("daguan.cli.tables.scores.no_better", lambda *about: [f"no better than {about[2][ngrams]}"])
    for command in ("blend", "score"):
        assert main([command, *words(contest, trained, "blend.method=mean")]) == 0
    printed = capsys.readouterr()
    assert "blend: no better than ngram_crf" in printed.err
    assert "warning: no better than ngram_crf\n" in printed.out


def test_a_damaged_answer_is_not_submitted(
    contest: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(trained, tmp_path / "damaged")
    for earlier in (root / "out").glob("*"):
        earlier.unlink()
    assert main(["blend", *words(contest, root)]) == 0
    for answer in (root / "work").glob("blend-*/blend.txt"):
        answer.write_text("\n".join(answer.read_text("utf-8").split("\n")[:-2]) + "\n", "utf-8")
    capsys.readouterr()
    assert main(["submit", *words(contest, root)]) == 2
    assert "blend.txt" in capsys.readouterr().err
    assert not list((root / "out").glob("*.txt"))


def test_runs_lists_what_may_be_blended(contest: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", *words(contest, trained)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert main(["runs", *words(contest, trained), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    listed = {entry["run"].rpartition("-")[0]: entry for entry in json.loads(line)}
    assert set(listed) == {"tagger", "ngram_crf"}
    assert {entry["lines"] for entry in listed.values()} == {listed["tagger"]["lines"]}
    assert all(entry["run"] in "\n".join(table) for entry in listed.values())
    assert table[0].endswith("may be blended together, here")
    assert [listed[name]["head"] for name in ("tagger", "ngram_crf")] == ["lstm_crf", ""]
    assert all(0 <= entry["test_f1"] <= 1 and entry["folds"] == 2 for entry in listed.values())
    manifest = json.loads((trained / "work" / listed["tagger"]["run"] / "manifest.json").read_text("utf-8"))
    assert listed["tagger"]["f1"] == manifest["out_of_fold"]


def test_runs_of_other_folds_are_another_group_and_not_blended(
    contest: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = shutil.copytree(trained / "work", tmp_path / "work", ignore=shutil.ignore_patterns("blend-*"))
    (run,) = work.glob("ngram_crf-*")
    arguments = words(contest, tmp_path, "folds.seed=7")
    assert main(["prepare", *arguments]) == 0
    assert main(["blend", *arguments, f"blend.runs=[{run.name}]"]) == 2
    assert f"{run.name}: expected a run on these data and folds, got one on others" in capsys.readouterr().err
    assert main(["runs", *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.count("may be blended together") == 1
    assert "together, here" not in printed


def test_a_work_folder_without_runs(contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", *words(contest, tmp_path)]) == 0
    assert "no trained run in" in capsys.readouterr().out


def test_a_method_that_does_not_exist(contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blend", *words(contest, tmp_path, "blend.method=median")]) == 2
    assert "blend.method: expected mean or weights or thresholds" in capsys.readouterr().err


def test_every_command_prints_its_result_as_one_line_of_json(
    contest: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(contest, trained, f"data.submissions={tmp_path}")

    def result(*typed: str) -> Any:
        assert main([*typed, "--json"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        return json.loads(line)

    assert result("prepare", *given)["report"]["test"]["lines"] == 16
    assert result("pretrain", *given) == {}
    assert {name.rpartition("-")[0] for name in result("train", *given)} == {"tagger", "ngram_crf"}
    blend = result("blend", *given)
    assert set(blend) == {"model", "final", "method", "out_of_fold", "gains"}
    submission = result("submit", *given)["submission"]
    final = result("score", *given)
    assert (final["submission"], final["model"]) == (submission, blend["model"])
    assert final["test"][blend["final"]] == result("score", submission, str(contest / "test_gold.txt"))
    assert result("check", submission, str(contest / "test.txt")) == {"submission": submission, "lines": 16}
    assert result("settings", *given)["members"] == ["tagger", "ngram_crf"]
    labelled = tmp_path / "labelled.txt"
    found = result("predict", blend["model"], str(contest / "test.txt"), str(labelled))
    assert (found["output"], found["lines"], found["models"]) == (str(labelled), 16, 4)
    assert list(result("baseline", *given)["test"]) == [result("baseline", *given)["final"]]
