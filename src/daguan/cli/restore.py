"""The command `restore`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json, print_json
from daguan.cli.source_options import FormatName, OutputWord, PredictedWord, SchemeName, print_written


def main(
    predicted: PredictedWord,
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The key that `anonymise` wrote.")],
    output: OutputWord,
    format: FormatName = "",
    scheme: SchemeName = "",
    as_json: Json = False,
) -> None:
    """Bring predictions on anonymised lines back as text.

    What the source holds beside its labels is kept.
    """
    from daguan.formats.exporting import restore

    written = restore(predicted, key, output, format, scheme)
    if as_json:
        print_json({"output": str(output), **asdict(written)})
    else:
        print_written(output, written)
