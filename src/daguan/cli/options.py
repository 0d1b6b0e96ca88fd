"""The words and options that commands share, and one line of JSON in place of tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from daguan.pipeline.stages import Stages


def complete_words(incomplete: str) -> list[str]:
    """Return the presets, files of configurations and settings that begin as a word does, for completion in a shell."""
    from daguan.core.read_settings import settings_of
    from daguan.pipeline.settings import Settings, presets

    words = [
        *presets(),
        *map(str, sorted(Path("configs").glob("*.yaml"))),
        *(f"{one.path}=" for one in settings_of(Settings)),
    ]
    return [word for word in words if word.startswith(incomplete)]


Words = Annotated[
    list[str],
    typer.Argument(default_factory=list, metavar="[CONFIG] [key=value …]", hidden=True, autocompletion=complete_words),
]
AcceptCode = Annotated[
    bool, typer.Option("--accept-code", help="Take runs that other code made of the same data; they then say so.")
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Also write the table to this file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, and no table.")]


def configuration(words: list[str], accept_code: bool) -> list[str]:
    """Return the words `[CONFIG] [key=value …]` with the option --accept-code as one of them."""
    return [*words, "data.accept_code=true"] if accept_code else words


def write_csv(path: Path | None, table: str, *given: Any) -> None:
    """Write a table as CSV, if a file is named; `table` is the function of api/frames.py that makes it of what is
    given."""
    if path:
        from daguan.api import frames
        from daguan.core.files import write_text

        write_text(path, getattr(frames, table)(*given).to_csv(index=False, lineterminator="\n"))


def write_leaderboard(path: Path | None, stages: Stages) -> None:
    """Write the leaderboard of a finished blend as CSV, if a file is named."""
    write_csv(path, "leaderboard", stages.answer.path, stages.answer.manifest())


def print_json(result: Any) -> None:
    print(json.dumps(result), flush=True)
