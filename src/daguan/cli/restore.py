"""The command `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json
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
    print_written(output, written, as_json)
