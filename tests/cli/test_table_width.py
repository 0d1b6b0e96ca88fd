"""Tables in terminals of 60, 80 and 120 columns: no figure is cut, and no name is lost."""

from __future__ import annotations

import re

import pytest

from daguan.cli.tables.text import print_table, table_lines

SCORES = ("out of fold", "metric", "P", "R", "F1", "95 % interval")
ROWS = [
    ("ngram_crf-6daace0da46d", "span", "94.30", "77.00", "84.79", "83.40–86.10"),
    ("a_member_with_a_long_name-802a8199853d", "contest", "93.30", "82.60", "87.60", "86.40–88.80"),
    ("blend", "span", "95.10", "85.70", "90.16", "89.10–91.20"),
]
SNAPSHOTS = {
    60: """\
out of fold      metric       P      R     F1  95 % interval
ngram_crf-6daac  span     94.30  77.00  84.79    83.40–86.10
e0da46d
a_member_with_a  contest  93.30  82.60  87.60    86.40–88.80
_long_name-802a
8199853d
blend            span     95.10  85.70  90.16    89.10–91.20""",
    80: """\
out of fold                          metric       P      R     F1  95 % interval
ngram_crf-6daace0da46d               span     94.30  77.00  84.79    83.40–86.10
a_member_with_a_long_name-802a81998  contest  93.30  82.60  87.60    86.40–88.80
53d
blend                                span     95.10  85.70  90.16    89.10–91.20""",
    120: """\
out of fold                             metric       P      R     F1  95 % interval
ngram_crf-6daace0da46d                  span     94.30  77.00  84.79    83.40–86.10
a_member_with_a_long_name-802a8199853d  contest  93.30  82.60  87.60    86.40–88.80
blend                                   span     95.10  85.70  90.16    89.10–91.20""",
}
WIDE = (
    "submission",
    "",
    "out of fold",
    "recorded",
    "expected",
    "95 % interval",
    "best yet",
    "at the end",
    "agrees with",
)


@pytest.mark.parametrize("width", SNAPSHOTS)
def test_scores_in_a_terminal(width: int) -> None:
    assert "\n".join(table_lines(SCORES, ROWS, width)) == SNAPSHOTS[width]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("header", [SCORES, WIDE])
def test_no_line_is_wider_and_no_cell_is_lost(width: int, header: tuple[str, ...]) -> None:
    rows = [tuple(f"{name.replace(' ', '_')}{number}" for name in header) for number in range(3)]
    lines = table_lines(header, rows, width)
    assert max(map(len, lines)) <= width
    joined = re.sub(r"\s", "", "".join(lines))
    for cell in (cell for row in rows for cell in row[2:]):
        assert cell in joined


def test_where_there_is_no_terminal_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(SCORES, ROWS)
    assert capsys.readouterr().out == SNAPSHOTS[120] + "\n\n"
    assert table_lines(SCORES, []) == ["  ".join(SCORES)]
