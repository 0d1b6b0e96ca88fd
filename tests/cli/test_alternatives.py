"""Pointer network, MASS and Transformer-XL as members: from raw files to a submission that `predict` repeats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_pipeline import run

from daguan.cli.app import main
from daguan.competition.gate import check
from daguan.data.format import read_labelled
from in_process import in_process

ALTERNATIVES = (
    "members=pointing,writing,remembering,ngram_crf",
    "model.head=crf",
    "train.epochs=4",
    "train.checkpoint_seconds=60",
    "pretrain.checkpoint_seconds=60",
    "ensemble.pointing={model: {encoder: bert, head: pointer}}",
    "ensemble.writing={model: {encoder: mass, head: seq2seq}, encoder: {decoder_layers: 1}}",
    "ensemble.remembering={model: {encoder: transformer_xl}, encoder: {memory: 16}}",
)


@pytest.fixture(scope="module")
def finished(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alternatives")
    with in_process():
        run(contest, root, *ALTERNATIVES)
    return root


def test_each_is_pretrained_by_its_own_objective_trained_and_blended(contest: Path, finished: Path) -> None:
    (path,) = (finished / "out").glob("*.json")
    manifest = json.loads(path.read_text("utf-8"))
    names = {name.rpartition("-")[0] for name in manifest["folds"]}
    assert names == {"pointing", "writing", "remembering", "ngram_crf"}
    objectives = {
        json.loads((folder / "manifest.json").read_text("utf-8"))["depends_on"]["pretrain"]["objective"]
        for folder in (finished / "work").glob("pretrain-*")
    }
    assert objectives == {"mlm", "mass", "causal"}
    assert check(path.with_suffix(".txt"), contest / "test.txt") == len(read_labelled(path.with_suffix(".txt")))


def test_the_blend_labels_a_file_as_it_labelled_the_test_lines(contest: Path, finished: Path, tmp_path: Path) -> None:
    (blend,) = (finished / "work").glob("blend-*")
    (sent,) = (finished / "out").glob("*.txt")
    out = tmp_path / "predicted.txt"
    assert main(["predict", str(blend), str(contest / "test.txt"), str(out)]) == 0
    assert out.read_bytes() == sent.read_bytes()
