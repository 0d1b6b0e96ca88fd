"""The command `fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli import run
from daguan.cli.options import AcceptCode, Csv, Json, Words


def main(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The data: a contest's folder, or another format.")],
    words: Words,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="The time that training may take; else what CONFIG says.", min=0)
    ] = None,
    accept_code: AcceptCode = False,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Train on a folder of data in the minutes given, and submit.

    It is `run` with data.dir and budget.minutes in short, and with cpu_1h, which fits into any number of minutes, where
    no CONFIG is named. `daguan.fit` is the same in Python.
    """
    from daguan.api.fitting import BUDGET

    named = words if words and "=" not in words[0] else [BUDGET, *words]
    budget = [] if minutes is None else [f"budget.minutes={minutes:g}"]
    run.main([*named, f"data.dir={folder}", *budget], accept_code, csv, as_json)
