"""The official baseline: its templates by hand, and that it learns what they can tell."""

import numpy as np
import pytest
from benchmarks.crfsuite import crfsuite

from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.types import Sentence, Span
from daguan.data.ngram_features import features
from daguan.data.ngram_templates import TEMPLATES
from daguan.data.tags import TagScheme
from daguan.families.ngram_crf import ABOUT, MODEL, NgramCrf, train
from daguan.families.ngram_crf_settings import NgramCrfSettings

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
    """Equal n-grams at the places of one template, and nothing else, have equal features."""
    assert len(TEMPLATES) == 13
    (first, second), lengths = features([["8", "9"]])
    assert lengths.tolist() == [2]
    names = [
        ["0:<>", "1:<>", "2:8", "3:9", "4:<>",
         "5:<> <>", "6:<> 8", "7:8 9", "8:9 <>", "9:<> 9",
         "10:<> <> 8", "11:<> 8 9", "12:8 9 <>"],
        ["0:<>", "1:8", "2:9", "3:<>", "4:<>",
         "5:<> 8", "6:8 9", "7:9 <>", "8:<> <>", "9:8 <>",
         "10:<> 8 9", "11:8 9 <>", "12:9 <> <>"],
    ]  # fmt: skip
    pairs = dict(zip([*names[0], *names[1]], [*first.tolist(), *second.tolist()], strict=True))
    assert pairs["0:<>"] == first[0] == second[0]
    assert len(set(pairs.values())) == len(pairs)


def test_features_see_two_tokens_each_way_and_no_farther():
    line = list("abcdefg")
    (before, _) = features([line])
    for changed in range(7):
        (after, _) = features([[*line[:changed], "x", *line[changed + 1 :]]])
        assert (before != after).any(1).tolist() == [abs(place - changed) <= 2 for place in range(7)]


def test_features_of_a_line_do_not_depend_on_other_lines():
    lines = [sentence.tokens for sentence in synthetic(20)]
    rows, lengths = features(lines)
    alone = [features([line])[0] for line in lines]
    assert (rows == np.concatenate(alone)).all()
    assert lengths.tolist() == [len(line) for line in lines]


def test_a_model_without_weights_finds_all_tags_as_likely(tmp_path):
    train(synthetic(5), SCHEME, NgramCrfSettings(c1=1000.0, iterations=2), tmp_path)
    (probs,) = NgramCrf(tmp_path).marginals([Sentence(("5", "7"))])
    assert probs[probs > 0] == pytest.approx(1 / (probs > 0).sum(1).max())


@pytest.mark.parametrize("min_count", [1, 3, 60, 1000])
@pytest.mark.parametrize("c1", [0.0, 0.05])
def test_marginals_are_those_of_crfsuite(tmp_path, c1, min_count):
    """On lines of mixed lengths, with unseen tokens, in any order."""
    settings = NgramCrfSettings(c1=c1, c2=0.1, iterations=300, min_count=min_count)
    train(synthetic(60), SCHEME, settings, tmp_path)
    tagger, _ = crfsuite(synthetic(60), SCHEME, settings)
    lines = [Sentence(("7", *line.tokens, "new")) for line in synthetic(40, seed=3)]
    for line, probs in zip(lines, NgramCrf(tmp_path).marginals(lines), strict=True):
        tagger.set([[str(feature) for feature in row] for row in features([line.tokens])[0].tolist()])
        for tag in tagger.labels():
            expected = [tagger.marginal(tag, place) for place in range(len(line.tokens))]
            assert probs[:, SCHEME.tags.index(tag)] == pytest.approx(np.array(expected), abs=2e-3)


def test_a_trained_model_recovers_the_entities(folder):
    model = NgramCrf(folder)
    assert model.scheme == SCHEME
    sentences = [*synthetic(30), *synthetic(20, seed=1)]
    for sentence, probs in zip(sentences, model.marginals(sentences), strict=True):
        assert SCHEME.decode(probs.argmax(1)) == sentence.spans


def test_marginals_sum_to_one_and_unseen_tags_have_none(folder):
    (probs,) = NgramCrf(folder).marginals([Sentence(("5", "7", "unseen", "9"))])
    assert probs.shape == (4, 9)
    assert probs.dtype == np.float32
    assert probs.sum(1) == pytest.approx(np.ones(4), abs=1e-5)
    seen = [SCHEME.tags.index("O"), SCHEME.tags.index("S-a")]
    assert (np.delete(probs, seen, axis=1) == 0).all()


def test_labels_that_do_not_occur_change_nothing(folder, tmp_path):
    larger = TagScheme(("a", "b", "c", *(f"x{number}" for number in range(100))))
    train(synthetic(30), larger, NgramCrfSettings(), tmp_path)
    lines = synthetic(10, seed=2)
    for few, many in zip(NgramCrf(folder).marginals(lines), NgramCrf(tmp_path).marginals(lines), strict=True):
        assert (many[:, : len(SCHEME)] == few).all()
        assert (many[:, len(SCHEME) :] == 0).all()


def test_each_iteration_is_reported_with_a_falling_loss(tmp_path):
    seen: list[tuple[int, float]] = []
    train(synthetic(30), SCHEME, NgramCrfSettings(iterations=8), tmp_path, lambda *report: seen.append(report))
    assert [iteration for iteration, _ in seen] == list(range(1, len(seen) + 1))
    assert 1 < len(seen) <= 8
    assert seen[-1][1] < seen[0][1]


def test_training_twice_gives_the_same_answers(folder, tmp_path):
    train(synthetic(30), SCHEME, NgramCrfSettings(), tmp_path)
    assert (tmp_path / MODEL).read_bytes() == (folder / MODEL).read_bytes()


@pytest.mark.parametrize("missing", [MODEL, ABOUT])
def test_a_missing_model_is_a_checkpoint_error(tmp_path, missing):
    train(synthetic(5), SCHEME, NgramCrfSettings(iterations=1), tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        NgramCrf(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"), [(MODEL, b"no model"), (MODEL, b""), (ABOUT, b'{"labels": ["a"'), (ABOUT, b"{}")]
)
def test_a_damaged_model_is_a_checkpoint_error(tmp_path, name, content):
    train(synthetic(5), SCHEME, NgramCrfSettings(iterations=1), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        NgramCrf(tmp_path)


@pytest.mark.parametrize("values", [{"c1": -1}, {"c2": -1}, {"iterations": 0}, {"min_count": 0}])
def test_impossible_settings_are_refused(values):
    with pytest.raises(ConfigError, match=f"^{next(iter(values))}: expected"):
        NgramCrfSettings(**values)
