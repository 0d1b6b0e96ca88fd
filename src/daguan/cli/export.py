"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json
from daguan.cli.source_options import FormatName, OutputWord, PredictedWord, SchemeName, print_written


def main(
    predicted: PredictedWord,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The contest's folder.")],
    output: OutputWord,
    format: FormatName = "",
    scheme: SchemeName = "",
    as_json: Json = False,
) -> None:
    """Bring predictions back in the text and format imported.

    What the source holds beside its labels is kept. A contest that was not imported gives its lines in another format.
    """
    from daguan.formats.exporting import export

    written = export(predicted, folder, output, format, scheme)
    print_written(output, written, as_json)
