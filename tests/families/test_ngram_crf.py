"""The official baseline: its templates by hand, and that it learns what they can tell."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pycrfsuite
import pytest

import daguan
from daguan.core.errors import CheckpointError, ConfigError, WriteError
from daguan.core.types import Sentence, Span
from daguan.data.tags import TagScheme
from daguan.families.ngram_crf import ABOUT, MODEL, TEMPLATES, NgramCrf, _Trainer, features, train
from daguan.families.ngram_crf_settings import NgramCrfSettings

SOURCES = str(Path(daguan.__file__).parents[1])
SCHEME = TagScheme(("a", "b"))


def synthetic(count: int, seed: int = 0) -> list[Sentence]:
    """Sentences in which 7, and nothing else, is an entity a of one token."""
    rng = np.random.default_rng(seed)
    lines = [tuple(map(str, rng.integers(5, 10, rng.integers(1, 12)))) for _ in range(count)]
    return [Sentence(line, tuple(Span(i, i + 1, "a") for i, t in enumerate(line) if t == "7")) for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ngram")
    train(synthetic(30), SCHEME, NgramCrfSettings(), path)
    return path


def test_features_of_a_short_line_by_hand():
    assert len(TEMPLATES) == 13
    assert features(["8", "9"]) == [
        ["0:<>", "1:<>", "2:8", "3:9", "4:<>",
         "5:<> <>", "6:<> 8", "7:8 9", "8:9 <>", "9:<> 9",
         "10:<> <> 8", "11:<> 8 9", "12:8 9 <>"],
        ["0:<>", "1:8", "2:9", "3:<>", "4:<>",
         "5:<> 8", "6:8 9", "7:9 <>", "8:<> <>", "9:8 <>",
         "10:<> 8 9", "11:8 9 <>", "12:9 <> <>"],
    ]  # fmt: skip


def test_features_see_two_tokens_each_way_and_no_farther():
    line = list("abcdefg")
    for changed in range(7):
        other = [*line[:changed], "x", *line[changed + 1 :]]
        differs = [one != two for one, two in zip(features(line), features(other), strict=True)]
        assert differs == [abs(place - changed) <= 2 for place in range(7)]


def test_a_trained_model_recovers_the_entities(folder):
    model = NgramCrf(folder)
    assert model.scheme == SCHEME
    for sentence in (*synthetic(30), *synthetic(20, seed=1)):
        assert SCHEME.decode(model.marginals(sentence).argmax(1)) == sentence.spans


def test_marginals_sum_to_one_and_unseen_tags_have_none(folder):
    probs = NgramCrf(folder).marginals(Sentence(("5", "7", "unseen", "9")))
    assert probs.shape == (4, 9)
    assert probs.dtype == np.float32
    assert probs.sum(1) == pytest.approx(np.ones(4), abs=1e-5)
    seen = [SCHEME.tags.index("O"), SCHEME.tags.index("S-a")]
    assert (np.delete(probs, seen, axis=1) == 0).all()


def test_each_setting_is_the_one_of_crfsuite(tmp_path, monkeypatch):
    told = {}
    monkeypatch.setattr(_Trainer, "set_params", lambda trainer, params: told.update(params))
    monkeypatch.setattr(_Trainer, "train", lambda trainer, path: Path(path).write_bytes(b"lCRF\x08\0\0\0"))
    train(synthetic(3), SCHEME, NgramCrfSettings(c1=0.3, c2=0.7, iterations=9, min_count=4), tmp_path)
    assert told == {"c1": 0.3, "c2": 0.7, "max_iterations": 9, "feature.minfreq": 4}


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_model_that_a_full_disk_cut_short_is_an_error(tmp_path, monkeypatch, share):
    """CRFsuite writes what it can and says nothing."""
    whole = pycrfsuite.Trainer.train

    def cut(trainer, path):
        whole(trainer, path)
        written = Path(path).read_bytes()
        Path(path).write_bytes(written[: int(share * len(written))])

    monkeypatch.setattr(_Trainer, "train", cut)
    with pytest.raises(WriteError, match=r"ngram\.crfsuite: expected to write a whole model here, got \d+ bytes"):
        train(synthetic(30), SCHEME, NgramCrfSettings(), tmp_path)
    assert not (tmp_path / ABOUT).exists()


def test_each_iteration_is_reported_with_a_falling_loss(tmp_path):
    seen: list[tuple[int, float]] = []
    train(synthetic(30), SCHEME, NgramCrfSettings(iterations=8), tmp_path, lambda *report: seen.append(report))
    assert [iteration for iteration, _ in seen] == list(range(1, len(seen) + 1))
    assert 1 < len(seen) <= 8
    assert seen[-1][1] < seen[0][1]


def test_training_twice_gives_the_same_answers(folder, tmp_path):
    train(synthetic(30), SCHEME, NgramCrfSettings(), tmp_path)
    sentence = synthetic(1, seed=5)[0]
    assert (NgramCrf(tmp_path).marginals(sentence) == NgramCrf(folder).marginals(sentence)).all()


@pytest.mark.parametrize("missing", [MODEL, ABOUT])
def test_a_missing_model_is_a_checkpoint_error(tmp_path, missing):
    train(synthetic(5), SCHEME, NgramCrfSettings(iterations=1), tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        NgramCrf(tmp_path)


@pytest.mark.parametrize(("name", "content"), [(MODEL, b"no model"), (ABOUT, b'{"labels": ["a"'), (ABOUT, b"{}")])
def test_a_damaged_model_is_a_checkpoint_error(tmp_path, name, content):
    train(synthetic(5), SCHEME, NgramCrfSettings(iterations=1), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        NgramCrf(tmp_path)


def test_a_model_cut_short_is_a_checkpoint_error_and_no_crash(tmp_path):
    train(synthetic(5), SCHEME, NgramCrfSettings(iterations=1), tmp_path)
    content = (tmp_path / MODEL).read_bytes()
    (tmp_path / MODEL).write_bytes(content[: len(content) // 2])
    code = "import sys, pathlib; from daguan.families.ngram_crf import NgramCrf; NgramCrf(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": SOURCES})
    assert done.returncode == 1, "CRFsuite itself would end the process by a segmentation fault"
    assert "CheckpointError" in done.stderr


@pytest.mark.parametrize("values", [{"c1": -1}, {"c2": -1}, {"iterations": 0}, {"min_count": 0}])
def test_impossible_settings_are_refused(values):
    with pytest.raises(ConfigError, match=f"^{next(iter(values))}: expected"):
        NgramCrfSettings(**values)
