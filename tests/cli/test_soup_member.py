"""A soup as a member: what it needs, what it refuses, and that it goes through the pipeline as any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.cli.test_pipeline import config, run, words

from conftest import TINY
from daguan.cli.app import main
from daguan.core.errors import ConfigError
from daguan.core.files import sha256_of_file
from daguan.data.format import read_labelled
from daguan.pipeline.settings import load
from daguan.pipeline.train import rounds_of
from in_process import in_process

SOUP = (
    "members=one,stock,ngram_crf",
    "model.encoder=lstm",
    "model.head=crf",
    "train.epochs=3",
    "ensemble.one.train.epochs=2",
    "ensemble.two.train={seed: 1, encoder_learning_rate: 2e-3}",
    "ensemble.stock={family: soup, soup: {members: [one, two]}}",
)


def test_what_a_soup_is_made_of_is_trained_before_it() -> None:
    settings = load([*TINY, *SOUP])
    assert settings.trained == ["one", "two", "stock", "ngram_crf"]
    assert rounds_of(settings) == [["one", "two", "ngram_crf"], ["stock"]]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("ensemble.stock.soup.members=[]", "soup.members of stock: expected one or more, got ()"),
        ("ensemble.stock.soup.members=[one,ngram_crf]", "soup.members of stock: expected taggers, got 'ngram_crf'"),
        ("ensemble.stock.soup.members=[one,none]", "soup.members of stock: expected tagger or"),
        ("ensemble.stock.soup.members=[one,stock]", "soup.members of stock: expected members that do not need"),
        ("ensemble.two.model.head=softmax", "soup.members of stock: expected members that start alike, with one model"),
        ("ensemble.two.seed=3", "soup.members of stock: expected members that start alike, with one seed, got 'one"),
        ("ensemble.two.encoder.hidden=64", "soup.members of stock: expected members that start alike, with one enco"),
        ("ensemble.two.pretrain.tokens=0", "soup.members of stock: expected members that start alike, with one pretr"),
        ("ensemble.stock.pseudo_labels.teachers=[one]", "pseudo_labels.teachers of stock: expected none with family"),
    ],
)
def test_what_cannot_be_averaged_is_refused_before_anything_is_trained(word: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load([*TINY, *SOUP, word])
    assert str(error.value).startswith(message)


def test_what_only_training_reads_may_differ() -> None:
    load([*TINY, *SOUP, "ensemble.two.model.dropout=0.1", "ensemble.two.augmentation.recombination=1"])


@pytest.fixture(scope="module")
def finished(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("soup")
    with in_process():
        run(contest, root, *SOUP)
    return root


def test_a_soup_is_blended_and_submitted_as_any_member(contest: Path, finished: Path, tmp_path: Path) -> None:
    (path,) = (finished / "out").glob("*.json")
    manifest = json.loads(path.read_text("utf-8"))
    assert {name.rpartition("-")[0] for name in manifest["folds"]} == {"one", "stock", "ngram_crf"}
    (blend,) = (finished / "work").glob("blend-*")
    out = tmp_path / "predicted.txt"
    assert main(["predict", str(blend), str(contest / "test.txt"), str(out)]) == 0
    ours, theirs = read_labelled(out), read_labelled(path.with_suffix(".txt"))
    assert sum(one == other for one, other in zip(ours, theirs, strict=True)) >= len(theirs) - 1
    assert main(["runs", *config(finished), *words(contest, finished, *SOUP)]) == 0


def test_each_fold_of_a_soup_is_the_average_of_its_members(finished: Path) -> None:
    for fold in ("fold0", "fold1"):
        weights = {}
        for member in ("one", "two", "stock"):
            (folder,) = (finished / "work").glob(f"{member}-*/{fold}")
            weights[member] = load_file(folder / "model" / "head.safetensors")
        for name, weight in weights["stock"].items():
            assert weight.equal(((weights["one"][name].double() + weights["two"][name].double()) / 2).float()), name


def test_runs_that_differ_in_the_fine_tuning_seed_alone_differ(contest: Path, finished: Path) -> None:
    """In order and dropout; 0 is what it is without the setting."""
    own = ("ensemble.other.train={seed: 5, epochs: 2}", "ensemble.named.train={seed: 0, epochs: 2}")
    with in_process():
        assert main(["train", *config(finished), *words(contest, finished, *SOUP, "members=other,named", *own)]) == 0
    digests = {}
    for member in ("one", "other", "named"):
        (folder,) = (finished / "work").glob(f"{member}-*/fold0")
        digests[member] = sha256_of_file(folder / "held_out.safetensors")
    assert digests["one"] == digests["named"] != digests["other"]
