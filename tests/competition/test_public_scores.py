import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from daguan.competition.public_scores import BOARD, parse_score, read_scores, record
from daguan.core.errors import CheckpointError, ConfigError


def test_what_is_recorded_is_read_again_and_told_when_replaced(tmp_path):
    assert read_scores(tmp_path) == {}
    assert record(tmp_path, "two", 0.9359, "2019-08-30") is None
    assert record(tmp_path, "one", 0.5, "2019-08-30") is None
    assert record(tmp_path, "two", 0.94, "2019-08-31") == 0.9359
    assert read_scores(tmp_path) == {"one": 0.5, "two": 0.94}
    assert json.loads((tmp_path / BOARD).read_text())["two"] == {"score": 0.94, "recorded": "2019-08-31"}


@pytest.mark.parametrize(("text", "score"), [("0.9359", 0.9359), ("0", 0), ("1", 1), ("9e-1", 0.9)])
def test_scores_are_fractions(text, score):
    assert parse_score(text) == score


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("93.59", "expected a fraction from 0 to 1, got 93.59; 93.59 % is 0.9359"),
        ("-0.1", "expected a fraction from 0 to 1, got -0.1"),
        ("nan", "expected a fraction from 0 to 1, got nan"),
        ("inf", "expected a fraction from 0 to 1, got inf"),
        ("first", "expected a fraction from 0 to 1, got 'first'"),
    ],
)
def test_others_are_refused_percentages_with_their_fraction(text, message):
    with pytest.raises(ConfigError) as error:
        parse_score(text)
    assert str(error.value) == f"score: {message}"


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 0.5}', '{"a": {}}', '{"a": {"score": 93}}'])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path, text):
    (tmp_path / BOARD).write_text(text)
    for use in (read_scores, lambda folder: record(folder, "b", 0.5, "2019-08-31")):
        with pytest.raises(CheckpointError, match=BOARD):
            use(tmp_path)
    assert (tmp_path / BOARD).read_text() == text


def test_scores_recorded_at_the_same_time_are_all_kept(tmp_path):
    names = [f"m{number}" for number in range(16)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: record(tmp_path, name, 0.5, "2026-11-26"), names))
    assert sorted(read_scores(tmp_path)) == sorted(names)
