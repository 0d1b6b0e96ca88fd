"""A whole contest played on hidden lines of a tiny one, by two small n-gram CRFs and their blend."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.competition import gate
from daguan.core.files import sha256_of_file
from daguan.data.format import format_unlabelled, read_labelled
from daguan.data.span_score import span_score
from daguan.pipeline.rehearse import make_contest
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from in_process import in_process

MEMBERS = ["members=ngram_crf,other", "ensemble.other={family: ngram_crf, ngram_crf: {c1: 2}}"]
SMALL = [*TINY, *MEMBERS, "ngram_crf.c1=1", "rehearse.days=2", "plan.submissions=1", "rehearse.deals=3"]


def words(contest: Path, root: Path) -> list[str]:
    root.mkdir(exist_ok=True)
    (root / "empty.yaml").touch()
    places = [f"data.dir={contest}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return ["rehearse", str(root / "empty.yaml"), *SMALL, *places]


@pytest.fixture(scope="module")
def root(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rehearsal")
    with in_process():
        assert main(words(contest, root)) == 0
    return root


def folder(root: Path) -> Path:
    (path,) = (root / "work").iterdir()
    return path


def outcome(root: Path) -> dict[str, Any]:
    (path,) = folder(root).glob("play-*/manifest.json")
    return dict(json.loads(path.read_text("utf-8"))["outcome"])


def test_hidden_lines_are_nowhere_in_train_and_none_is_lost(contest: Path, root: Path) -> None:
    train, kept = read_labelled(contest / "train.txt"), read_labelled(folder(root) / "contest" / "train.txt")
    hidden = read_labelled(folder(root) / "hidden_gold.txt")
    assert not {line.tokens for line in kept} & {line.tokens for line in hidden}
    assert Counter([*kept, *hidden]) == Counter(train)
    test = (folder(root) / "contest" / "test.txt").read_text("utf-8")
    assert test.split("\n") == [format_unlabelled(line) for line in hidden]
    order = [train.index(line) for line in hidden]
    assert order != sorted(order)


def test_the_folder_that_stages_see_holds_no_hidden_label(contest: Path, root: Path) -> None:
    assert {path.name for path in (folder(root) / "contest").iterdir()} == {"train.txt", "test.txt", "corpus.txt"}
    made = folder(root) / "contest" / "corpus.txt"
    assert sha256_of_file(made) == sha256_of_file(contest / "corpus.txt")


def test_every_candidate_could_be_sent(root: Path) -> None:
    blend = folder(root) / "work"
    answers = list(blend.glob("blend-*/*.txt"))
    assert len(answers) == len(outcome(root)["candidates"]) == 4  # two members, their mean, the blend
    for answer in answers:
        assert gate.check(answer, folder(root) / "contest" / "test.txt") > 0
    assert not (root / "out").exists()


def test_the_outcome_tells_the_game(root: Path) -> None:
    told = outcome(root)
    sent = [name for day in told["days"] for name in day]
    assert len(set(sent)) == len(sent) == 2
    assert set(told["ways"]["the planner"]["chosen"]) == set(sent)
    best = max(candidate["private"] for candidate in told["candidates"].values())
    assert told["ways"]["the best possible"]["private"] == [best, best]
    assert told["deals"] == 3
    assert all(0.1 < candidate["private"] <= 1 for candidate in told["candidates"].values())


def test_the_same_again_skips_what_is_done(contest: Path, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("manifest.json")}
    assert main([*words(contest, root), "--json"]) == 0
    assert {path: path.stat().st_mtime_ns for path in root.rglob("manifest.json")} == before
    printed = capfd.readouterr()
    assert "play: done before" in printed.err
    (line,) = printed.out.splitlines()
    (played,) = folder(root).glob("play-*")
    (advised,) = folder(root).glob("advice-*/manifest.json")
    steps = json.loads(advised.read_text("utf-8"))["steps"]
    assert json.loads(line) == {"rehearsal": str(played), **outcome(root), "steps": steps}


def test_each_step_gives_what_the_blend_after_it_scores_on_the_hidden_lines(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second configuration has trained a third member."""
    third = "ensemble.third={family: ngram_crf, ngram_crf: {c1: 4}}"
    own, other = (tmp_path / f"{name}.yaml" for name in ("own", "other"))
    own.write_text("members: [ngram_crf, other]", "utf-8")
    other.write_text("members: [third]", "utf-8")
    shared = [word for word in words(contest, tmp_path)[2:] if not word.startswith("members=")]
    capsys.readouterr()
    with in_process():
        assert main(["rehearse", str(own), *shared, third, f"rehearse.configs=[{other}]", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["steps"]
    assert [one["do"] for one in found] == ["drop", "drop", "add", "add", "add"]
    made = folder(tmp_path)
    places = {"dir": made / "contest", "work": made / "work", "submissions": made / "out"}
    inner = [*shared, third, *(f"data.{name}={path}" for name, path in places.items())]

    def f1(members: str) -> float:
        blended = [str(own), *inner, f"members={members}"]
        assert main(["blend", *blended]) == 0
        answer = Stages(load(blended)).answer
        final = answer.manifest()["final"]
        return span_score(read_labelled(answer.path / f"{final}.txt"), read_labelled(made / "hidden_gold.txt")).f1

    base = f1("[ngram_crf,other]")
    kept = {one["member"].rpartition("-")[0]: one["gain"] for one in found[:3]}
    assert kept["ngram_crf"] == pytest.approx(f1("[other]") - base)
    assert kept["other"] == pytest.approx(f1("[ngram_crf]") - base)
    assert kept["third"] == pytest.approx(f1("[ngram_crf,other,third]") - base)


def test_the_contest_and_the_game_repeat(contest: Path, root: Path, tmp_path: Path) -> None:
    """What stages make of the same files repeats by their own tests."""
    settings = load(words(contest, tmp_path)[1:])
    made = make_contest(Stages(settings), settings)
    assert made.path.name == folder(root).name
    files = ("contest/train.txt", "contest/test.txt", "hidden_gold.txt")
    assert all((made.path / name).read_bytes() == (folder(root) / name).read_bytes() for name in files)
    before = outcome(root)
    (played,) = folder(root).glob("play-*")
    shutil.rmtree(played)
    assert main(words(contest, root)) == 0
    assert outcome(root) == before


BESIDE = {"vocab.tsv": "w1\theart\n", "labels.tsv": "a\tGene\n", "import.json": "{}"}


@pytest.mark.parametrize("given", [["vocab.tsv"], ["labels.tsv"], ["import.json"], [*BESIDE]])
def test_the_made_contest_has_the_words_and_labels_of_its_contest(
    contest: Path, tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made again where they are added or changed; its folder is named as before where there are none."""
    monkeypatch.setattr(Stages, "data_sha256", {})
    spelt = shutil.copytree(contest, tmp_path / "spelt")
    settings = load(words(spelt, tmp_path)[1:])
    plain = make_contest(Stages(settings), settings)
    assert set(plain.depends_on) == {"data", "seed", "share", "group"}
    keys = [plain.key]
    for more in ("", "w2\tmice\n"):
        for name in given:
            (spelt / name).write_text(BESIDE[name] + more, "utf-8")
        made = make_contest(Stages(settings), settings)
        there = {
            path.name: path.read_text("utf-8") for path in (made.path / "contest").iterdir() if path.name in BESIDE
        }
        assert there == {name: BESIDE[name] + more for name in given}
        keys.append(made.key)
    assert len({*keys}) == 3


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rehearse.share=0.001", "rehearse.share: expected one that divides"),
        ("rehearse.share=1", "rehearse.share: expected over 0, under 1"),
        ("blend.runs=tagger-1", "blend.runs: expected none in a rehearsal"),
        ("rehearse.configs=nowhere.yaml", "nowhere.yaml: expected a configuration file"),
        ("plan.public_share=0", "plan.public_share: expected over 0, under 1"),
    ],
)
def test_what_cannot_be_played_is_refused(
    contest: Path, tmp_path: Path, word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(contest, tmp_path), word]) == 2
    assert message in capsys.readouterr().err
