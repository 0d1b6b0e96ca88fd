"""The arithmetic, the order of turns and the output of the harness; no peer is needed."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import data, harness, measured, reading, sides

RATES = st.lists(st.tuples(st.floats(0.1, 1e6), st.floats(0.1, 1e6)), min_size=1, max_size=9)


def test_ratio_is_of_medians_and_spread_of_rounds() -> None:
    found = harness.Comparison.of_rates([30.0, 10.0, 20.0], [5.0, 10.0, 20.0])
    assert (found.ours, found.peer, found.ratio, found.low, found.high) == (20.0, 10.0, 2.0, 1.0, 6.0)


@given(RATES)
def test_half_the_seconds_is_twice_the_rate(pairs: list[tuple[float, float]]) -> None:
    ours, peer = zip(*pairs, strict=True)
    rates = harness.Comparison.of_rates(ours, peer)
    seconds = harness.Comparison.of_seconds([1 / value for value in ours], [1 / value for value in peer])
    assert (seconds.low, seconds.high) == pytest.approx((rates.low, rates.high))
    if len(pairs) % 2:  # the median of an even number is a mean, which 1/x does not keep
        assert seconds.ratio == pytest.approx(rates.ratio)


@given(RATES)
def test_one_round_s_ratio_is_the_whole_spread(pairs: list[tuple[float, float]]) -> None:
    found = harness.Comparison.of_rates([pairs[0][0]], [pairs[0][1]])
    assert found.low == found.high == pytest.approx(found.ratio)


def test_sides_take_turns_and_the_order_turns_too() -> None:
    calls: list[str] = []

    def side(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    given = harness.alternate(3, {"a": lambda: side("a"), "b": lambda: side("b"), "c": lambda: side("c")})
    assert "".join(calls) == "abccbaabc"
    assert given == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_the_faster_of_those_named() -> None:
    assert harness.best({"a": [1, 9, 2], "b": [3, 3, 3], "c": [9, 9, 9]}, ["a", "b"]) == "b"


def test_aims_say_what_was_reached() -> None:
    assert harness.Aim.at_least("speed", 2, 2.0, " x") == harness.Aim("speed", ">= 2 x", 2.0, True)
    assert not harness.Aim.at_least("speed", 2, 1.99999).reached
    assert harness.Aim.below("seconds", 0.5, 0.49).reached
    assert not harness.Aim.below("seconds", 0.5, 0.5).reached


def test_the_last_line_is_one_object_with_the_aims(capsys: pytest.CaptureFixture[str]) -> None:
    report = harness.Report("speed", {"cores": 2})
    report.add({"what": "loss", "ratio": 2.5}, harness.Aim.at_least("loss", 2, 2.5))
    report.add({"what": "decode", "ratio": 7.0, "shell": "plain"}, harness.Aim.at_least("decode", 8, 7.0))
    report.show(as_json=True)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["aims"] == [
        {"name": "loss", "aim": ">= 2", "measured": 2.5, "reached": True},
        {"name": "decode", "aim": ">= 8", "measured": 7.0, "reached": False},
    ]
    assert [row["what"] for row in last["rows"]] == ["loss", "decode"]
    assert last["machine"] == {"cores": 2}


def test_without_json_the_aims_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    report = harness.Report("speed", {"cores": 2})
    report.add({"what": "loss", "ratio": 2.5}, harness.Aim.at_least("loss", 2, 2.5))
    report.show(as_json=False)
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        "|",
        "loss",
        "|",
        ">=",
        "2",
        "|",
        "2.5",
        "|",
        "yes",
        "|",
    ]


def test_tables_are_aligned() -> None:
    lines = harness.table([{"a": 1234.5, "bcd": 0.12345}, {"a": 1, "bcd": True}]).splitlines()
    assert lines == ["| a     | bcd   |", "| ----- | ----- |", "| 1,234 | 0.123 |", "| 1     | yes   |"]


def test_options_are_read() -> None:
    assert harness.options(["--json"], "about").json
    assert not harness.options(["--json"], "about").quick


def test_a_plain_shell_has_none_of_our_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    both = harness.shells(2)
    assert both["as ours"] == harness.our_environment(2)
    assert both["as ours"]["OMP_WAIT_POLICY"] == "passive"
    assert not {"OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GLIBC_TUNABLES"} & set(both["plain"])


class Adder:
    """A side for the tests below."""

    def __init__(self, start: int) -> None:
        self.total = start

    def add(self, number: int) -> int:
        print("noise that must not reach the parent")
        self.total += number
        return self.total


def test_a_side_works_in_its_own_process_and_keeps_its_state() -> None:
    environment = harness.our_environment(1) | {"PYTHONPATH": str(harness.ROOT)}
    with sides.Side("tests.benchmarks.test_harness:Adder", environment, start=1) as first:
        assert first.call("add", number=2) == 3
        first.send("add", number=4)
        assert first.receive() == 7
        with pytest.raises(sides.SideError):
            first.call("subtract", number=1)


def test_a_command_is_measured() -> None:
    command = [sys.executable, "-S", "-c", "x = bytearray(64 << 20); print('noise')"]
    found = measured.measure(command, harness.our_environment(1))
    assert 0 < found.seconds < 60
    assert 64 <= found.peak_mb < 128


def test_a_made_corpus_has_its_size_and_few_equal_lines(tmp_path) -> None:  # type: ignore[no-untyped-def]
    contest = tmp_path / "contest"
    contest.mkdir()
    for name in ("train.txt", "test.txt"):
        (contest / name).write_text("1_2_3")
    lines = ["_".join(str(number * 7 + place) for place in range(20)) for number in range(100)]
    (contest / "corpus.txt").write_text("\n".join([*lines, "9"]))
    size = data.make_corpus(contest, tmp_path / "made", 20_000)
    made = (tmp_path / "made" / "corpus.txt").read_text().split("\n")
    assert size == (tmp_path / "made" / "corpus.txt").stat().st_size
    assert 20_000 <= sum(line.count("_") + 1 for line in made) < 20_060
    assert len(set(made)) > 0.95 * len(made)
    assert reading.disk_rate(tmp_path / "made" / "corpus.txt") > 0
