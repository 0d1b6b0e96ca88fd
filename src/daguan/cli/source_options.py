"""The words and options of commands that read a source or write to its format, and how their results are printed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daguan.cli.options import print_json
from daguan.core.quantity import quantity

if TYPE_CHECKING:
    from daguan.formats.exporting import Written
    from daguan.formats.importing import Built


def _option(name: str, text: str, shown: str = "NAME") -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, metavar=shown, help=text, show_default=False)
    return option


SourceWord = Annotated[Path, typer.Argument(metavar="SOURCE", help="A file, or a folder with a file for each part.")]
FolderWord = Annotated[Path, typer.Argument(metavar="FOLDER", help="The contest's folder to make.")]
PredictedWord = Annotated[Path, typer.Argument(metavar="PREDICTED", help="A labelled contest file.")]
OutputWord = Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file or folder to write.")]
FormatName = Annotated[
    str, _option("--format", "conll, jsonl, label-studio, brat, datasets, spacy or contest; found if not given.")
]
SchemeName = Annotated[str, _option("--scheme", "The scheme of tags: bio, bio2, bioes, bilou or bmes.")]
TestFile = Annotated[str, _option("--test", "The part to label, if SOURCE does not hold it.", "PATH")]
TestShare = Annotated[float, _option("--test-share", "The share of documents to hold out as the part to label.", "0.2")]
CorpusFile = Annotated[str, _option("--corpus", "Unlabelled text beside SOURCE.", "PATH")]
DevUse = Annotated[str, _option("--dev", "The use of a part for development: train (default), corpus or leave.")]
Whole = Annotated[bool, typer.Option("--whole", help="Make one line of a text, not one of each of its lines.")]
TokenKind = Annotated[str, _option("--tokens", "The tokens of a plain text: words (default) or characters.")]
TokenColumn = Annotated[int, _option("--token-column", "The column of tokens in a CoNLL file, from 1.", "N")]
TagColumn = Annotated[int, _option("--tag-column", "The column of tags in a CoNLL file, from 1.", "N")]
RepairNames = Annotated[
    list[str],
    typer.Option(
        "--repair",
        metavar="NAME",
        show_default=False,
        help="Repair and count: overlaps, cuts, fragments, empty, tags or annotators; may be given several times.",
    ),
]


def print_built(folder: Path, built: Built, as_json: bool, **more: str) -> None:
    """Print what a source became; with `as_json` as one line of JSON, and more entries of it."""
    if as_json:
        print_json({"folder": str(folder), **more, **asdict(built)})
        return
    formats = ", ".join(f"{part} as {name}" for part, name in built.formats.items())
    print(f"{folder}: read {formats}")
    for name, lines in built.lines.items():
        entities = f", {quantity(built.entities[name], 'entity')}" if name in built.entities else ""
        print(f"  {name}: {quantity(lines, 'line')}{entities}")
    groups = f", {quantity(built.groups, 'document')} to train on" if built.groups else ""
    print(f"  {quantity(built.tokens, 'different token')}{groups}")
    print(f"  labels: {', '.join(f'{mapped} for {label}' for label, mapped in built.labels.items())}")
    for name, count in sorted(built.repairs.items()):
        print(f"  repaired: {name} {quantity(count, 'time')}")


def print_written(output: Path, written: Written, as_json: bool) -> None:
    if as_json:
        print_json({"output": str(output), **asdict(written)})
        return
    entities = quantity(written.entities, "entity")
    print(f"{output}: {quantity(written.documents, 'document')} as {written.format}, {entities}")
