import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.errors import CheckpointError
from daguan.data.marginals import Marginals, mean

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


def test_a_file_is_mapped_and_not_read(tmp_path):
    path = tmp_path / "test.safetensors"
    Marginals.of(range(2), answers([3, 2], 0)).save(path)
    loaded = Marginals.load(path)
    for array in (loaded.lines, loaded.offsets, loaded.probs, loaded.per_line()[1]):
        assert not array.flags.owndata
        assert not array.flags.writeable
        while array.base is not None and not isinstance(array, np.memmap):
            array = array.base
        assert isinstance(array, np.memmap)


def halves(lengths, seed, tags=5):
    return [answer.astype(np.float16) for answer in answers(lengths, seed, tags)]


@given(LENGTHS, st.integers(1, 5))
def test_the_mean_is_numpys_to_half_precision(lengths, members):
    given_answers = [halves(lengths, member) for member in range(members)]
    for line, probs in enumerate(mean(given_answers)):
        exact = np.mean([member[line].astype(np.float64) for member in given_answers], axis=0)
        assert probs.dtype == np.float16
        assert np.allclose(probs, exact, rtol=1e-3)


@given(LENGTHS, st.lists(st.integers(0, 3), min_size=2, max_size=4).filter(any))
def test_weights_count_a_member_so_many_times(lengths, weights):
    given_answers = [halves(lengths, member) for member in range(len(weights))]
    repeated = [member for member, times in zip(given_answers, weights, strict=True) for _ in range(times)]
    for ours, theirs in zip(mean(given_answers, weights), mean(repeated), strict=True):
        assert np.allclose(ours, theirs, rtol=2e-3)


def test_all_the_weight_on_a_member_gives_its_answers():
    given_answers = [halves([2, 3], 0), halves([2, 3], 1)]
    for ours, theirs in zip(mean(given_answers, (0.0, 0.25)), given_answers[1], strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    "other",
    [
        halves([2], 1),  # a line fewer
        halves([2, 3, 1], 1),  # a line more
        halves([2, 4], 1),  # another length
        halves([2, 3], 1, tags=9),  # other tags
    ],
)
def test_members_that_do_not_match_are_refused(other):
    with pytest.raises(CheckpointError, match="same lines and tags"):
        mean([halves([2, 3], 0), other])


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
