"""The command `export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daguan.cli.options import Json, print_json
from daguan.cli.source_options import FormatName, SchemeName, print_written
from daguan.core.quantity import quantity

if TYPE_CHECKING:
    from daguan.pipeline.shipping.export import Exported


def main(
    predicted: Annotated[Path, typer.Argument(metavar="PREDICTED", help="A labelled contest file; or a model.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The contest's folder; or the folder to write.")],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="The file or folder to write; none with --to.", show_default=False)
    ] = "",
    format: FormatName = "",
    scheme: SchemeName = "",
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORM", help="Write a model: hf, onnx or onnx-int8.", show_default=False),
    ] = "",
    licence: Annotated[
        str, typer.Option("--licence", metavar="NAME", help="The licence of the model's weights, for its card.")
    ] = "other",
    as_json: Json = False,
) -> None:
    """Bring predictions back as they were imported, or ship a model.

    A model gets a form that runs without daguan.

    What the source holds beside its labels is kept. A contest that was not imported gives its lines in another format.
    With --to, the words are MODEL FOLDER: a student, or one trained model, is written to a new folder.
    """
    from daguan.core.settings import require

    if to:
        require("export", not output, "MODEL FOLDER with --to", f"a third word, {output}")
        _export_model(predicted, folder, to, licence, as_json)
        return
    require("export", bool(output), "PREDICTED FOLDER OUTPUT, or MODEL FOLDER --to FORM", "two words")
    from daguan.formats.exporting import export

    print_written(Path(output), export(predicted, folder, Path(output), format, scheme), as_json)


def _export_model(model: Path, folder: Path, to: str, licence: str, as_json: bool) -> None:
    from daguan.pipeline.shipping.export import export

    found = export(model, folder, to, licence)
    if as_json:
        print_json({"output": str(folder), **asdict(found)})
    else:
        say_exported(folder, found)


def say_exported(folder: Path, found: Exported) -> None:
    """Say what was written where."""
    from daguan.core.progress import say

    unreadable = found.unreadable_tokens
    note = f"; its tokenizer cannot read {quantity(unreadable, 'token')} with white space" if unreadable else ""
    say(f"export: {folder}: {found.form}, {found.megabytes:.1f} MB{note}")
