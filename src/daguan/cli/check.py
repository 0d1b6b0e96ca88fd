"""The command `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json, print_json
from daguan.core.errors import ConfigError
from daguan.core.quantity import quantity

LABELS = "labels="


def main(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="The file to check.")],
    test: Annotated[Path, typer.Argument(metavar="TEST", help="The contest's test file.")],
    labels: Annotated[str, typer.Argument(metavar="[labels=a,b,c]", help="The labels that may occur.")] = "",
    as_json: Json = False,
) -> None:
    """Check whether a file may be submitted: exit code 0 or 2.

    A message names the file and line of the first fault.
    """
    from daguan.competition import gate

    if labels and not labels.startswith(LABELS):
        raise ConfigError("check: expected SUBMISSION TEST [labels=a,b,c]")
    lines = gate.check(submission, test, labels.removeprefix(LABELS).split(",") if labels else None)
    if as_json:
        print_json({"submission": str(submission), "lines": lines})
    else:
        print(f"{submission}: {quantity(lines, 'line')}, good")
