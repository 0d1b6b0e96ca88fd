"""Tables of pandas as rows of cells for a page: text beside the value that they are sorted by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pandas import DataFrame, isna

Format = Callable[[Any], str]

percent: Format = lambda value: f"{100 * value:.2f}"  # noqa: E731
points: Format = lambda value: f"{100 * value:+.2f}".replace("-", "−")  # noqa: E731
count: Format = lambda value: f"{value:,.0f}"  # noqa: E731
tenth: Format = lambda value: f"{value:,.1f}"  # noqa: E731
thousandth: Format = lambda value: f"{value:.3f}"  # noqa: E731


DARKEST = 40  # percent of colour behind text, on which it can still be read


class Column(NamedTuple):
    """A column of a shown table.

    Attributes:
        name: in the table of pandas.
        title: what a reader sees.
        form: how a number is written; None for text.
        help: what the column means.
        interval: names of the two columns with the ends of an interval, shown in place of the value itself.
        wide: whether the text may be long.
    """

    name: str
    title: str
    form: Format | None = None
    help: str = ""
    interval: tuple[str, str] | None = None
    wide: bool = False

    @property
    def text(self) -> bool:
        return self.form is None


class Cell(NamedTuple):
    """A cell: its text, what it is sorted by, its class, the place that it leads to, and its shade in percent."""

    text: str
    value: str
    kind: str = ""
    line: str = ""
    heat: float | None = None
    colour: str = "accent"


class Line(NamedTuple):
    cells: list[Cell]
    final: bool = False


class Table(NamedTuple):
    """A table as the template reads it."""

    title: str
    columns: Sequence[Any]
    rows: list[Line]
    note: str = ""


def table(
    title: str, frame: DataFrame, columns: Sequence[Column], note: str = "", final: str = "", place: str = ""
) -> Table:
    """Returns a shown table; columns that the frame does not have are left out.

    final: the value of the first column whose row is emphasised; place: the column whose cells lead to a line, of which
    the frame has `line`, `start` and `stop`.
    """
    known = [one for one in columns if one.name in frame]
    rows = []
    for row in frame.to_dict("records"):
        cells = [_cell(one, row, one.name == place) for one in known]
        rows.append(Line(cells, bool(final) and row[known[0].name] == final))
    return Table(title, known, rows, note)


def _cell(column: Column, row: dict[str, Any], leads: bool) -> Cell:
    value = row[column.name]
    kind = ("text wide" if column.wide else "text") if column.text else ""
    if value is None or (not isinstance(value, str) and isna(value)):
        return Cell("", "", kind)
    line = "{line},{start},{stop}".format(**row) if leads else ""
    if column.interval and not isna(row[column.interval[0]]) and column.form:
        low, high = (column.form(row[name]) for name in column.interval)
        between = "–" if low[0].isdecimal() else " to "  # between signs, a dash would be read as one of them
        return Cell(f"{low}{between}{high}", str(row[column.interval[0]]), kind, line)
    return Cell(column.form(value) if column.form else str(value), str(value), kind, line)


def matrix(
    title: str, frame: DataFrame, form: Format, rows_are: str, note: str = "", shares: DataFrame | None = None
) -> Table:
    """Returns a shown matrix, whose cells are shaded by `shares`, 0 to 1; `rows_are` is above the names of its rows."""
    shades = frame if shares is None else shares
    columns = [Column("", rows_are, None), *(Column(name, name, form) for name in frame.columns)]
    rows = []
    for name, values in frame.iterrows():
        cells = [Cell(str(name), str(name), "text")]
        for other, value in values.items():
            heat = round(DARKEST * float(shades.loc[name, other]), 1)
            cells.append(Cell(form(value), str(value), "", "", heat, "good" if name == other else "bad"))
        rows.append(Line(cells))
    return Table(title, columns, rows, note)
