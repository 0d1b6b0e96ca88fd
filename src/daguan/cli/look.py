"""The command `look`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json

WHAT = ("line", "test", "string")
What = Annotated[str, typer.Argument(metavar="WHAT", help="line=12 of train, test=12 or string=7_8.")]


def main(what: What, words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Show a line or a string as the report of a finished run does.

    A line is shown as gold, the blend and every member label it, training lines out of fold; with it come the tokens of
    which some member is unsure. A string is shown with its places, labels, neighbours and similar strings.
    """
    from daguan.cli.tables.look import print_line, print_string
    from daguan.core.errors import ConfigError
    from daguan.pipeline.budget.plan import load
    from daguan.pipeline.stages import Stages
    from daguan.report.findings import find
    from daguan.report.looking import View

    kind, _, wanted = what.partition("=")
    if kind not in WHAT or not wanted:
        raise ConfigError(f"look: expected line=NUMBER, test=NUMBER or string=TOKENS, got {what!r}")
    view = View(find(Stages(load(configuration(words, accept_code)))))
    found: dict[str, Any] = (
        view.string(wanted) if kind == "string" else view.line(view.number(wanted, in_test=kind == "test"))
    )
    if as_json:
        print_json(found)
    elif kind == "string":
        print_string(found)
    else:
        print_line(found)
