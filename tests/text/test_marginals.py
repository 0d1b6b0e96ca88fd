import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.errors import CheckpointError
from daguan.text.marginals import Marginals, mean

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=8)


def answers(lengths, seed, tags=5):
    rng = np.random.default_rng(seed)
    return [rng.random((length, tags)).astype(np.float32) for length in lengths]


@given(LENGTHS, st.integers(0, 99))
def test_by_line_gives_back_each_lines_answer_in_half_precision(lengths, seed):
    lines = np.random.default_rng(seed).permutation(100)[: len(lengths)]
    given_answers = answers(lengths, seed)
    found = Marginals.of(lines, given_answers).by_line()
    assert list(found) == lines.tolist()
    for line, answer in zip(lines.tolist(), given_answers, strict=True):
        assert np.array_equal(found[line], answer.astype(np.float16))


@given(LENGTHS, st.integers(0, 99))
def test_save_and_load_are_inverses(tmp_path_factory, lengths, seed):
    path = tmp_path_factory.mktemp("marginals") / "test.safetensors"
    saved = Marginals.of(range(len(lengths)), answers(lengths, seed))
    saved.save(path)
    loaded = Marginals.load(path)
    for name in ("lines", "offsets", "probs"):
        before, after = getattr(saved, name), getattr(loaded, name)
        assert before.dtype == after.dtype
        assert np.array_equal(before, after)


@given(LENGTHS, st.integers(1, 5))
def test_the_mean_is_numpys_in_single_precision(lengths, members):
    given_answers = [answers(lengths, member) for member in range(members)]
    found = mean([Marginals.of(range(len(lengths)), member).by_line() for member in given_answers])
    assert list(found) == list(range(len(lengths)))
    for line, probs in found.items():
        halves = [member[line].astype(np.float16).astype(np.float64) for member in given_answers]
        assert probs.dtype == np.float32
        assert np.allclose(probs, np.mean(halves, axis=0), rtol=1e-6)


def test_the_mean_does_not_depend_on_the_order_of_lines_within_a_member():
    one, two = answers([2, 3], 0)
    forwards = Marginals.of([0, 1], [one, two]).by_line()
    backwards = Marginals.of([1, 0], [two, one]).by_line()
    found = mean([backwards, forwards])
    assert list(found) == [0, 1]
    assert np.array_equal(found[0], one.astype(np.float16))
    assert np.array_equal(found[1], two.astype(np.float16))


@pytest.mark.parametrize(
    "other",
    [
        Marginals.of([0], answers([2], 1)),  # a line fewer
        Marginals.of([0, 1, 2], answers([2, 3, 1], 1)),  # a line more
        Marginals.of([0, 2], answers([2, 3], 1)),  # another line
        Marginals.of([0, 1], answers([2, 4], 1)),  # another length
        Marginals.of([0, 1], answers([2, 3], 1, tags=9)),  # other tags
    ],
)
def test_members_that_do_not_match_are_refused(other):
    with pytest.raises(CheckpointError, match="same lines and tags"):
        mean([Marginals.of([0, 1], answers([2, 3], 0)).by_line(), other.by_line()])


@pytest.mark.parametrize("damage", [b"", b"\x00" * 20, None])
def test_a_damaged_or_missing_file_is_refused(tmp_path, damage):
    path = tmp_path / "test.safetensors"
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(CheckpointError, match="expected marginals, got: "):
        Marginals.load(path)


def test_a_file_cut_short_or_of_other_tensors_is_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "test.safetensors"
    Marginals.of([0, 1], answers([2, 3], 0)).save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="expected marginals, got: "):
        Marginals.load(path)
    save_file({"weights": np.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="expected marginals, got: "):
        Marginals.load(path)
