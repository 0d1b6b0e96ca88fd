"""A fold's job: what it may read of the lines it does not train on, and that it can be cut short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import LABELS, TINY, random_sentence
from daguan.core.files import sha256_of_file
from daguan.core.progress import Progress
from daguan.core.settings import load
from daguan.core.types import Sentence, Span
from daguan.data.augmentation import WAYS
from daguan.data.folds import write_folds
from daguan.data.format import format_labelled, format_unlabelled, read_labelled, write_lines
from daguan.data.marginals import Marginals
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.families import tagger_fold
from daguan.families.fold import HELD_OUT, TEST, FoldData, FoldJob
from daguan.families.jobs import run_job
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.pretraining_heads import FragmentLm
from daguan.pipeline.settings import Settings
from fold_jobs import fold_job

ALL_ON = [f"augmentation.{way}=1" for way in WAYS]
FOLDS = np.arange(30) % 3


def lines_of(spelling: str) -> list[Sentence]:
    """30 lines; those that fold 0 holds out are spelt so, and their entities are of that spelling's own places."""
    rng = np.random.default_rng(4)
    lines = [random_sentence(rng, 25) for _ in FOLDS]
    for i in np.flatnonzero(FOLDS == 0):
        spans = (Span(len(spelling), len(spelling) + 2, LABELS[0]), Span(9, 12, LABELS[-1]))
        lines[i] = Sentence(tuple(f"{spelling}{token}" for token in lines[i].tokens), spans)
    return lines


def job_of(folder: Path, spelling: str, *words: str, fold: int = 0, seed: int = 1) -> FoldJob:
    """Fold 0 of a contest written into the folder, prepared; nothing pretrained."""
    folder.mkdir(exist_ok=True)
    lines = lines_of(spelling)
    write_lines(folder / "train.txt", map(format_labelled, lines))
    write_lines(folder / "test.txt", map(format_unlabelled, [line for line in lines if spelling in line.tokens[0]]))
    write_folds(folder, FOLDS)
    Vocabulary([*SPECIALS, *sorted({token for line in lines for token in line.tokens})]).save(folder)
    settings = load(Settings, None, [*TINY, "train.epochs=1", f"seed={seed}", *words])
    made = settings.member("tagger")
    return fold_job("tagger", fold, made, str(folder / "fold"), folder, len(set(FOLDS)), settings.engine)


def test_without_augmentation_a_fold_trains_on_its_lines(tmp_path: Path) -> None:
    data = FoldData.read(job_of(tmp_path, "x"))
    assert data.train == [line for line, fold in zip(lines_of("x"), FOLDS, strict=True) if fold != 0]


def test_no_token_or_label_of_a_held_out_or_test_line_is_trained_on(tmp_path: Path) -> None:
    """They may say what they like: what the fold trains on stays the same."""
    one, other = (FoldData.read(job_of(tmp_path / name, name, *ALL_ON)) for name in ("x", "yy"))
    assert one.held_out != other.held_out
    assert one.test != other.test
    assert one.train == other.train
    assert len(one.train) > 3 * np.count_nonzero(FOLDS)


@pytest.mark.parametrize("change", [{"seed": 2}, {"fold": 1}])
def test_seeds_and_folds_draw_lines_of_their_own(tmp_path: Path, change: dict[str, int]) -> None:
    job = job_of(tmp_path, "x", *ALL_ON)
    changed = replace(job, settings=job.settings.replace(seed=2)) if "seed" in change else replace(job, **change)
    one, other = (FoldData.read(each).train for each in (job, changed))
    assert one[40:] != other[40:]


class Killed(Exception):
    pass


def test_a_job_with_augmentation_continues_to_the_bit(tmp_path: Path) -> None:
    words = ("augmentation.recombination=1", "model.head=crf", "train.evaluations=1")
    whole, cut = (job_of(tmp_path / name, "x", *words) for name in ("whole", "cut"))
    updates: list[Progress] = []

    def die(progress: Progress) -> None:
        updates.append(progress)
        if len(updates) == 5:
            raise Killed

    result: dict[str, Any] = run_job(whole, updates.append)
    updates.clear()
    with pytest.raises(Killed):
        run_job(cut, die)
    assert run_job(cut, lambda progress: None)["held_out"] == result["held_out"]
    assert result["training_lines"] == len(FoldData.read(whole).train) > 30
    for name in (HELD_OUT, TEST):
        assert sha256_of_file(Path(cut.folder) / name) == sha256_of_file(Path(whole.folder) / name)


def test_a_head_that_writes_starts_from_the_pretrained_decoder(tmp_path: Path) -> None:
    words = ("model.encoder=mass", "model.head=seq2seq+lstm_seq2seq", "model.lstm_hidden=16")
    job = job_of(tmp_path, "x", *words)
    vocabulary = Vocabulary.load(tmp_path)
    size = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32)
    pretrained = FragmentLm(MaskedLm("mass", size, len(vocabulary)))
    with torch.no_grad():
        for weight in pretrained.lm.model.decoder.parameters():
            weight.normal_()
    pretrained.save(tmp_path / "mass")
    vocabulary.save(tmp_path / "mass")
    job = replace(job, pretrained=str(tmp_path / "mass"))
    started, behind_lstm = tagger_fold._new_tagger(job, TagScheme(LABELS)).tagger.stacks
    theirs = pretrained.lm.model.decoder.state_dict()
    assert all(weight.equal(theirs[name]) for name, weight in started.head.decoder.state_dict().items())
    own = behind_lstm.head.decoder.state_dict()
    assert not any(weight.equal(theirs[name]) for name, weight in own.items())


@pytest.mark.parametrize(("way", "left"), [("keep", 2), ("drop", 0), ("relabel", 2)])
def test_conflicting_lines_are_settled_for_training_and_held_out_as_given(tmp_path: Path, way: str, left: int) -> None:
    job = job_of(tmp_path, "x", f"conflicts.training={way}")
    given = read_labelled(tmp_path / "train.txt")
    given[5] = Sentence(given[2].tokens, ())  # both are held out by fold 2
    write_lines(tmp_path / "train.txt", map(format_labelled, given))
    trained = [line for line in FoldData.read(job).train if line.tokens == given[2].tokens]
    assert len(trained) == left
    assert len(set(trained)) == {"keep": 2, "drop": 0, "relabel": 1}[way]
    held_out = [line for line in FoldData.read(replace(job, fold=2)).held_out if line.tokens == given[2].tokens]
    assert held_out == [given[2], given[5]]


def test_a_runs_marginals_choose_the_labels(tmp_path: Path) -> None:
    run = "judge-1"
    words = ("conflicts.training=relabel", f"conflicts.run={run}", f"data.work={tmp_path}")
    job = replace(job_of(tmp_path, "x", *words), conflicts_run=str(tmp_path / run))
    given = read_labelled(tmp_path / "train.txt")
    given[5] = Sentence(given[2].tokens, ())
    write_lines(tmp_path / "train.txt", map(format_labelled, given))
    for fold in range(3):
        lines = np.flatnonzero(fold == FOLDS)
        outside = [np.eye(1, 17).repeat(len(given[line].tokens), 0) for line in lines]
        Marginals.of(lines, outside).save(tmp_path / run / f"fold{fold}" / HELD_OUT)
    trained = [line for line in FoldData.read(job).train if line.tokens == given[2].tokens]
    assert trained == [given[5], given[5]]


@pytest.mark.parametrize(("fold", "iterations"), [(0, 9), (2, 13), (3, 11)])
def test_an_ngram_crf_that_holds_nothing_out_gets_the_mean_of_the_planned_iterations(
    tmp_path: Path, fold: int, iterations: int
) -> None:
    """An iteration reads all lines, however many there are."""
    job = job_of(tmp_path, "x", fold=fold)
    made = job.settings.replace(family="ngram_crf", updates=(9, 11, 13))
    assert run_job(replace(job, settings=made), lambda progress: None)["updates"] == iterations


@pytest.mark.parametrize("fold", [0, 2, 3])
@pytest.mark.parametrize("planned", [(1, 2, 3), (7, 8, 9), (12, 10, 2)])
@pytest.mark.parametrize("iterations", [1, 5, 20])
def test_an_ngram_crf_does_as_many_iterations_as_are_planned(
    tmp_path: Path, iterations: int, planned: tuple[int, ...], fold: int
) -> None:
    """Whether they are more or fewer than its settings ask for; the fold of all lines does as many as on average."""
    job, done = job_of(tmp_path, "x", fold=fold), list[int]()
    crf = job.settings.ngram_crf.replace(iterations=iterations)
    job = replace(job, settings=job.settings.replace(family="ngram_crf", ngram_crf=crf, updates=planned))
    result = run_job(job, lambda progress: done.append(progress.done))
    expected = (*planned, round(sum(planned) / 3))[fold]
    assert done == [*range(1, expected + 1)]
    assert (result["updates"], result["most_updates"]) == (expected, iterations)
