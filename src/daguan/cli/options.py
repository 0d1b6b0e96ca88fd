"""The words and options that commands share, and one line of JSON in place of tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


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
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, and no table.")]


def configuration(words: list[str], accept_code: bool) -> list[str]:
    """Return the words `[CONFIG] [key=value …]` with the option --accept-code as one of them."""
    return [*words, "data.accept_code=true"] if accept_code else words


def print_json(result: Any) -> None:
    print(json.dumps(result), flush=True)
