"""What all commands share: their words, their options, their help, and one line of JSON in place of tables."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from daguan.core.errors import CheckpointError, MissingStageError

PROGRAM = "python -m daguan"
STAGE_COMMANDS = ("prepare", "pretrain", "blend", "distil", "submit")  # each makes the stage of its name
MADE_BY = {"budget": "prepare"}  # all other stages are made by `train`

Words = Annotated[
    list[str],
    typer.Argument(default_factory=list, metavar="[CONFIG.yaml] [key=value …]", hidden=True, show_default=False),
]
AcceptCode = Annotated[
    bool, typer.Option("--accept-code", help="Take runs that were made by earlier code; their manifests will say so.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, and no table.")]


def configuration(words: list[str], accept_code: bool) -> list[str]:
    """Return the words `[CONFIG.yaml] [key=value …]` with the option --accept-code as one of them."""
    return [*words, "data.accept_code=true"] if accept_code else words


def print_json(result: Any) -> None:
    print(json.dumps(result), flush=True)


class Command(TyperCommand):
    """A command whose usage shows its words as a user types them, and whose errors name the command to run first."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        options = [f"[{one.opts[0]}]" for one in self.params if isinstance(one, TyperOption)]
        return [*words_of(self), *options]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MissingStageError as error:
            words = configuration(ctx.params["words"], ctx.params["accept_code"])
            command = error.stage if error.stage in STAGE_COMMANDS else MADE_BY.get(error.stage, "train")
            raise CheckpointError(f"{error.problem}; run: {PROGRAM} {shlex.join([command, *words])}") from None


def words_of(command: Any) -> list[str]:
    """Return what a user types after the command's name, without options."""
    return [one.metavar or one.name.upper() for one in command.params if not isinstance(one, TyperOption)]
