"""What a terminal of 60, 80 or 120 columns shows, and what a file gets in its place."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from daguan.core import progress
from daguan.core.events import Events
from daguan.core.progress import Bar, Progress, Row, clock, short, shown
from daguan.core.terminal import Terminal, lines_of

WIDTHS = pytest.mark.parametrize("width", [60, 80, 120])
ROWS = [
    Row("tagger fold 0", 0.45, "3.4k tok/s", 200, "loss 1.234, F1 80.12"),
    Row("a_member_with_a_long_name_and_text fold 12", 0.05, "17.1k tok/s", 36_000, "loss 0.123, F1 78.90, predicting"),
    Row("ngram_crf fold 1", 1.0, "", 0, "loss 912"),
    Row("prepare: read", None, "1.2M lines, 45.6k lines/s"),
    Row("all jobs", 0.51, "2 of 6 jobs done", 754),
    Row("whole run", None, "1 of 16 jobs done"),
    Row("whole run", 0.27, "12 of 16 jobs done", 36_000),
]
SNAPSHOTS = {
    60: """\
tagger fold 0  ━━━─────   45 %      3:20 left  3.4k tok/s
  loss 1.234, F1 80.12
a_member_with_a_long_name_and_text fold 12  ────────    5 %
  10:00:00 left  17.1k tok/s
  loss 0.123, F1 78.90, predicting
ngram_crf fold 1  ━━━━━━━━  100 %      0:00 left  loss 912
prepare: read  1.2M lines, 45.6k lines/s
all jobs  ━━━━────   51 %     12:34 left  2 of 6 jobs done
whole run  1 of 16 jobs done
whole run  ━━──────   27 %  10:00:00 left
  12 of 16 jobs done""",
    80: """\
tagger fold 0  ━━━━━━━━━───────────   45 %      3:20 left  3.4k tok/s
  loss 1.234, F1 80.12
a_member_with_a_long_name_and_text fold 12  ━───────────────────    5 %
  10:00:00 left  17.1k tok/s  loss 0.123, F1 78.90, predicting
ngram_crf fold 1  ━━━━━━━━━━━━━━━━━━━━  100 %      0:00 left  loss 912
prepare: read  1.2M lines, 45.6k lines/s
all jobs  ━━━━━━━━━━──────────   51 %     12:34 left  2 of 6 jobs done
whole run  1 of 16 jobs done
whole run  ━━━━━───────────────   27 %  10:00:00 left  12 of 16 jobs done""",
    120: """\
tagger fold 0  ━━━━━━━━━───────────   45 %      3:20 left  3.4k tok/s  loss 1.234, F1 80.12
a_member_with_a_long_name_and_text fold 12  ━───────────────────    5 %  10:00:00 left  17.1k tok/s
  loss 0.123, F1 78.90, predicting
ngram_crf fold 1  ━━━━━━━━━━━━━━━━━━━━  100 %      0:00 left  loss 912
prepare: read  1.2M lines, 45.6k lines/s
all jobs  ━━━━━━━━━━──────────   51 %     12:34 left  2 of 6 jobs done
whole run  1 of 16 jobs done
whole run  ━━━━━───────────────   27 %  10:00:00 left  12 of 16 jobs done""",
}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@WIDTHS
def test_the_rows_of_a_terminal(width: int) -> None:
    lines = [line for row in ROWS for line in lines_of(row, width)]
    assert "\n".join(line.plain for line in lines) == SNAPSHOTS[width]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_nothing_is_cut_at_any_width(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, height=100)
    terminal = Terminal(lambda: ROWS, console)
    terminal.close()
    written = console.file.getvalue()  # type: ignore[attr-defined]
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\s", "", written)
    assert "…" not in drawn
    for row in ROWS:
        for text in (row.name, row.amount, row.time_left, row.figures):
            assert re.sub(r"\s", "", text) in drawn


def test_a_terminal_without_unicode_gets_ascii_bars() -> None:
    assert lines_of(ROWS[0], 120, ascii_only=True)[0].plain.isascii()


class Clock:
    """A clock that a test moves, and a standard error that is a terminal or none."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock_of_test(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def test_a_file_gets_at_most_one_line_a_minute_and_job(
    clock_of_test: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bar("one") as one, Bar("other") as other:
        bars = [one, other]
        for second in range(600):
            clock_of_test.now = float(second)
            for bar in bars:
                bar.show(Progress(10 * second, 10_000, "tok", 1.5, (0.8,)))
    lines = capsys.readouterr().err.splitlines()
    assert [sum(line.startswith(f"{bar.name}: ") for line in lines) for bar in bars] == [9, 9]
    assert lines[0] == "one: 6 %, 10 tok/s, 15:40 left, loss 1.500, F1 80.00"
    assert not CONTROL.search("".join(lines))


def test_the_line_of_a_whole_run_in_a_file(clock_of_test: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed beside the bars' lines, and has no time while none is known."""
    rows = iter([*[ROWS[-2]] * 2, ROWS[-1]])
    with shown(lambda: next(rows)), Bar("job") as bar:
        for second in (0.0, 60.0, 90.0, 120.0, 180.0):
            clock_of_test.now = second
            bar.show(Progress(0, 10, "tok"))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("whole run")]
    assert lines == 2 * ["whole run: 1 of 16 jobs done"] + ["whole run: 27 %, 12 of 16 jobs done, 10:00:00 left"]


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TERM": "xterm-256color"}])
def test_a_piped_log_has_no_control_characters(variables: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, env=os.environ | variables, check=True)
    assert done.stderr == b"said\n"
    assert done.stdout == b"printed\n"


PROGRAM = """
from daguan.core.progress import Bar, Progress, say
with Bar("job") as bar:
    for done in range(1, 4):
        bar.show(Progress(done, 4, "it", 1.0))
    say("said")
    print("printed", flush=True)
"""


@pytest.mark.parametrize("no_colour", [True, False])
def test_a_terminal_has_colours_unless_it_is_to_have_none(no_colour: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_colour else {})
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    printed, _ = process.communicate(timeout=60)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += (more := os.read(ours, 65536))
        except OSError:  # all is read
            break
        if not more:
            break
    os.close(ours)
    text = drawn.decode()
    assert printed == b"printed\n"
    assert "said" in text
    assert "job" in text
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m|\x1b\[90m|\x1b\[32m", text)) is not no_colour


def test_events_are_lines_of_json_and_half_a_line_harms_none(tmp_path: Path) -> None:
    for _ in range(2):
        with Events(tmp_path, "job") as events:
            for done in range(5):
                events.show(Progress(done, 4, "it", 2.0 - done / 4, (0.5,) * (done > 2)))
        with (tmp_path / "events.jsonl").open("ab") as file:
            file.write(b'{"time": "2026')
    lines = (tmp_path / "events.jsonl").read_text("utf-8").splitlines()
    assert [line for line in lines if line == '{"time": "2026'] == 2 * ['{"time": "2026']
    found = [json.loads(line) for line in lines if line != '{"time": "2026']
    assert [one["event"] for one in found] == 2 * ["begins", "progress", "progress", "progress", "ends"]
    assert [one.get("f1") for one in found if one["event"] == "progress"] == 2 * [None, 0.5, None]
    assert {one["job"] for one in found} == {"job"}


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61.4, "1:01"), (3599.6, "1:00:00"), (36_000, "10:00:00")])
def test_a_time_by_hand(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0.5, "0.5"), (999, "999"), (1000, "1k"), (3412, "3.41k"), (2.5e6, "2.5M")]
)
def test_a_number_by_hand(number: float, text: str) -> None:
    assert short(number) == text
