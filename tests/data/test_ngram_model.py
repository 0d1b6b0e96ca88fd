"""An n-gram CRF of plain arrays: scores and marginals by brute force, and that it runs elsewhere."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from daguan.core.types import Sentence, Span
from daguan.data import ngram_model
from daguan.data.feature_hashes import hashes
from daguan.data.ngram_features import features
from daguan.data.ngram_model import NgramModel, tag_marginals
from daguan.data.tags import TagScheme
from daguan.data.text_features import TextFeatures, varieties_of_strings
from daguan.families.ngram_crf import NgramCrf, train
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.pipeline.shipping.sources import Linker

SCHEME = TagScheme(("a", "b"))
HIGHEST = 2**64 - 1
ELSEWHERE = """
import sys
from pathlib import Path

sys.modules |= dict.fromkeys(("daguan", "torch", "scipy", "safetensors"))  # cannot be imported
import numpy as np
from exported.data_ngram_model import NgramModel

folder = Path(sys.argv[1])
lines = [line.split() for line in (folder / "lines.txt").read_text("utf-8").splitlines()]
answers = NgramModel.of(dict(np.load(folder / "model.npz"))).marginals(lines)
(folder / "answers").write_bytes(np.concatenate(answers).tobytes())
"""


def lines_of(count: int, seed: int = 0) -> list[Sentence]:
    """Sentences in which 7 is an entity a of one token, and 8 9 an entity b."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        line = tuple(map(str, rng.integers(3, 10, rng.integers(1, 12))))
        spans = [Span(i, i + 1, "a") for i, token in enumerate(line) if token == "7"]
        spans += [Span(i, i + 2, "b") for i in range(len(line) - 1) if line[i : i + 2] == ("8", "9")]
        found.append(Sentence(line, tuple(sorted(spans))))
    return found


def text_of(lines: list[Sentence]) -> TextFeatures:
    entries = ["[SEP]", "[UNK]", *map(str, range(10))]
    ids = np.array([id for line in lines for id in (*(entries.index(token) for token in line.tokens), 0)])
    clusters = np.arange(1, 21, dtype=np.uint64).reshape(10, 2)
    return TextFeatures(np.sort(hashes(entries[2:])), clusters, *varieties_of_strings(ids, (0, 1), hashes(entries)))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "text"])
def trained(request, tmp_path_factory):
    folder, lines = tmp_path_factory.mktemp("ngram"), lines_of(60)
    train(lines, SCHEME, NgramCrfSettings(), folder, text=text_of(lines) if request.param else None)
    return NgramCrf(folder)


def bytes_of(answers):
    return [(probs.dtype, probs.shape, probs.tobytes()) for probs in answers]


def test_arrays_of_a_saved_model_answer_as_it_does(trained, tmp_path):
    save_file(trained.model.arrays(), tmp_path / "model.safetensors")
    again = NgramModel.of(load_file(tmp_path / "model.safetensors"))
    assert (again.text is None) == (trained.model.text is None)
    lines = lines_of(40, seed=1)
    assert bytes_of(again.marginals([line.tokens for line in lines])) == bytes_of(trained.marginals(lines))


def test_exported_code_answers_alike_with_numpy_alone(trained, tmp_path):
    (tmp_path / "exported").mkdir()
    for name, text in Linker({}).files([("daguan.data.ngram_model", "NgramModel")]).items():
        (tmp_path / "exported" / f"{name}.py").write_text(text, "utf-8")
    np.savez(tmp_path / "model.npz", **trained.model.arrays())
    lines = [line.tokens for line in lines_of(40, seed=1)]
    (tmp_path / "lines.txt").write_text("".join(" ".join(line) + "\n" for line in lines), "utf-8")
    subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path], check=True, cwd=tmp_path)
    expected = np.concatenate(trained.model.marginals(lines))
    assert (tmp_path / "answers").read_bytes() == expected.tobytes()


def test_a_model_without_lines_answers_nothing(trained):
    assert trained.model.marginals([]) == []


@pytest.mark.parametrize("chunk", [1, 3, 256])
def test_chunks_do_not_change_marginals(trained, monkeypatch, chunk):
    lines = [line.tokens for line in lines_of(50, seed=2)]
    expected = trained.model.marginals(lines)
    monkeypatch.setattr(ngram_model, "CHUNK_LINES", chunk)
    for probs, other in zip(trained.model.marginals(lines), expected, strict=True):
        assert probs == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize(
    "known",
    [
        [0],
        [HIGHEST],
        [5],
        [0, HIGHEST],
        [1, 1, 1, 2, 7, 7, HIGHEST],
        [2**63 - 1, 2**63, 2**63, 2**63 + 1],
        [*range(100, 160), *range(2**60, 2**60 + 9)],
        [number * 2**54 for number in range(1 << 10)],
    ],
    ids=lambda known: f"{len(known)} from {known[0]:x}",
)
def test_scores_are_the_sums_of_the_weights_of_known_features(known):
    """By brute force: neighbours of table entries, the least and the highest hash, and features given twice."""
    rng = np.random.default_rng(0)
    table = np.array(known, np.uint64)
    first = np.diff(table, prepend=table[:1] + np.uint64(1)) != 0
    tags = np.arange(len(table)) - np.maximum.accumulate(np.where(first, np.arange(len(table)), 0))  # 0, 1 … of each
    weights = rng.normal(size=len(table)).astype(np.float32)
    seen = np.array([True, True, True, False])
    model = NgramModel(table, tags, weights, np.zeros((4, 4), np.float32), seen)
    near = {one + step for one in [*known, 0, HIGHEST] for step in (-1, 0, 1) if 0 <= one + step <= HIGHEST}
    rows = rng.choice(np.array(sorted(near), np.uint64), (300, 5))
    expected = np.zeros((300, 4))
    for token, row in enumerate(rows):
        for feature in row:
            for place in np.flatnonzero(table == feature):
                expected[token, tags[place]] += weights[place]
    expected[:, 3] = -np.inf
    assert model._scores(rows) == pytest.approx(expected)
    assert model._scores(rows[:0]).shape == (0, 4)


def test_the_dummy_of_a_model_without_weights_scores_nothing():
    dummy = NgramModel(*(np.zeros(1, kind) for kind in (np.uint64, np.int64, np.float32)), np.zeros((2, 2), np.float32),
                       np.ones(2, np.bool_))  # fmt: skip
    rows, _ = features([["a", "b"], ["c"]])
    assert (dummy._scores(rows) == 0).all()
    assert np.concatenate(dummy.marginals([["a", "b"], ["c"]])) == pytest.approx(np.full((3, 2), 0.5))


def test_marginals_are_the_shares_of_all_sequences():
    """By brute force over the tags of three tokens, one tag impossible, beside lines of other lengths."""
    rng = np.random.default_rng(0)
    lengths, factors = np.array([1, 3, 2]), np.exp(rng.normal(size=(3, 3)))
    scores = 3 * rng.normal(size=(6, 3))
    scores[:, 1] = -np.inf
    expected = np.zeros((3, 3))
    for tags in product(range(3), repeat=3):
        weight = np.exp(scores[[1, 2, 3], tags].sum()) * factors[tags[0], tags[1]] * factors[tags[1], tags[2]]
        expected[range(3), tags] += weight
    assert tag_marginals(scores, lengths, factors)[1:4] == pytest.approx(expected / expected.sum(1, keepdims=True))
