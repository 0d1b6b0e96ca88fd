"""Conflicts and known lines: `conflicts` lists them, and they are part of the keys of the runs that they change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from daguan.cli.app import main
from daguan.core.errors import CheckpointError
from daguan.core.settings import load
from daguan.data.folds import read_folds
from daguan.data.marginals import Marginals
from daguan.families.fold import HELD_OUT
from daguan.families.fold import TEST as TEST_ANSWERS
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages

TRAIN = "1_2/a\n3/o\n1/a  2/o\n1_2/a\n4/a\n4/b"
TEST = "1_2\n9\n4"


@pytest.fixture
def contest(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text(TRAIN)
    (tmp_path / "test.txt").write_text(TEST)
    return tmp_path


def test_it_lists_both(contest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conflicts", f"data.dir={contest}"]) == 0
    assert capsys.readouterr().out == (
        "train.txt:1: 1_2/a\ntrain.txt:3: 1/a  2/o\ntrain.txt:4: 1_2/a\n\n"
        "train.txt:5: 4/a\ntrain.txt:6: 4/b\n\n"
        "2 texts with conflicting labels, in 5 train lines\n\n"
        "test.txt:1: train.txt:1, 3, 4: 1_2/a\n"
        "test.txt:3: train.txt:5, 6: (no most frequent labels)\n"
        "train has 2 of 3 test lines, 1 with one most frequent labelling\n"
    )


def test_as_json_it_lists_the_same(contest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conflicts", f"data.dir={contest}", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert [[one["line"] for one in lines] for lines in found["conflicts"]] == [[1, 3, 4], [5, 6]]
    assert found["known_test_lines"] == [
        {"line": 1, "train_lines": [1, 3, 4], "labels": "1_2/a"},
        {"line": 3, "train_lines": [5, 6], "labels": None},
    ]
    assert found["test_lines"] == 3


def test_what_changes_an_answer_is_part_of_its_key(contest: Path) -> None:
    plain, dropped, replace_known_lines = (
        Stages(load(Settings, None, [f"data.dir={contest}", f"data.work={contest / 'work'}", *words]))
        for words in ([], ["conflicts.training=drop"], ["blend.lookup=true"])
    )
    for member in ("tagger", "ngram_crf"):
        assert plain.train(member) != dropped.train(member)
        assert plain.pretrain(member) == dropped.pretrain(member)
        assert plain.train(member) == replace_known_lines.train(member)
    assert plain.blend != replace_known_lines.blend


def test_a_run_that_is_to_judge_must_be_there(contest: Path) -> None:
    words = ["conflicts.training=relabel", "conflicts.run=tagger-1", f"data.dir={contest}", f"data.work={contest}"]
    with pytest.raises(CheckpointError, match="tagger-1: expected the finished stage 'tagger', got none"):
        Stages(load(Settings, None, words)).train("tagger")


@pytest.mark.parametrize("lines", [0, 2])
def test_known_test_lines_are_answered_from_train(contest: Path, lines: int) -> None:
    """A member that says outside everywhere, with and without looking up; also where the known lines take no part."""
    places = [f"data.dir={contest}", f"data.work={contest / 'work'}", "members=ngram_crf", "folds.count=2"]
    places += [f"folds.lines={lines}", "folds.seed=5"]
    (contest / "empty.yaml").touch()
    words = [str(contest / "empty.yaml"), *places]
    assert main(["prepare", *words]) == 0
    stages = Stages(load(Settings, None, places))
    run = stages.train("ngram_crf")
    folds, drawn = read_folds(stages.prepare.path), stages.train_file.read_text("utf-8").split("\n")
    assert ("1_2/a" in drawn) == (lines == 0)
    for fold in range(2):
        held_out = np.flatnonzero(folds == fold)
        outside(run.path / f"fold{fold}" / HELD_OUT, held_out, [drawn[line] for line in held_out])
        outside(run.path / f"fold{fold}" / TEST_ANSWERS, np.arange(3), TEST.split("\n"))
    run.finish(0.0, lines=stages.lines)
    answers = {}
    for lookup in ("false", "true"):
        assert main(["blend", *words, f"blend.lookup={lookup}"]) == 0
        path = Stages(load(Settings, None, [*places, f"blend.lookup={lookup}"])).blend.path
        answers[lookup] = (path / f"{run.path.name}.txt").read_text("utf-8")
    assert answers == {"false": "1_2/o\n9/o\n4/o", "true": "1_2/a\n9/o\n4/o"}


def outside(path: Path, numbers: NDArray[np.int64], lines: list[str]) -> None:
    """Marginals of lines of one or two tokens, by two labels."""
    lengths = [2 if "2" in line else 1 for line in lines]
    Marginals.of(numbers, [np.eye(1, 9).repeat(length, 0) for length in lengths]).save(path)
