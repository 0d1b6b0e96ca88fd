"""A page: one file of HTML with its data, style, scripts and plots."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from daguan import __version__
from daguan.report.page_json import page_json

FILE = "report.html"


class Card(NamedTuple):
    """A figure at the top of a page, with a note below it."""

    name: str
    value: str
    note: str = ""


class Page(NamedTuple):
    """What a page shows.

    Attributes:
        sections: each with an id, a title, a text and parts.
        data: what the explorer reads; None for a page without one.
    """

    title: str
    subtitle: str
    cards: Sequence[Card]
    sections: Sequence[dict[str, Any]]
    data: dict[str, Any] | None = None

    def html(self) -> str:
        """Returns the page as HTML."""
        template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
            _file("page.html.j2")
        )
        return template.render(
            self._asdict()
            | {
                "style": _file("page.css"),
                "scripts": [_file("page.js"), *([] if self.data is None else [_file("explorer.js")])],
                "data": None if self.data is None else page_json(self.data),
                "version": __version__,
            }
        )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
