"""The command line: one row of COMMANDS and one file of this folder for each command.

A command's file imports what it needs inside its function, so that help and `score PRED GOLD` start without torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from daguan import __version__
from daguan.cli import (
    baseline,
    blend,
    check,
    conflicts,
    distil,
    plan,
    predict,
    prepare,
    pretrain,
    rehearse,
    reproduce,
    runs,
    score,
    settings,
    submit,
    train,
    tune,
)
from daguan.cli.command import PROGRAM, Command, words_of
from daguan.core.errors import ConfigError, DaguanError, ended, exit_code_of

COMMANDS: dict[str, Callable[..., None]] = {
    "prepare": prepare.main,
    "conflicts": conflicts.main,
    "pretrain": pretrain.main,
    "train": train.main,
    "tune": tune.main,
    "baseline": baseline.main,
    "blend": blend.main,
    "distil": distil.main,
    "submit": submit.main,
    "runs": runs.main,
    "plan": plan.main,
    "rehearse": rehearse.main,
    "score": score.main,
    "check": check.main,
    "settings": settings.main,
    "predict": predict.main,
    "reproduce": reproduce.main,
}
RECORD = "plan record"
INTERRUPTED = 130
COMPLETION = {"--install-completion", "--show-completion"}


class CommandLine(TyperGroup):
    """All commands; `plan record` is one of its own, and a misspelt name gets a suggestion."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[:2] == RECORD.split():
            args = [RECORD, *args[2:]]
        if args[0] not in self.commands and not ctx.resilient_parsing:
            close = get_close_matches(args[0], COMMANDS, n=1)
            known = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(COMMANDS)}"
            raise ConfigError(f"{args[0]}: no such command; {known}")
        return super().resolve_command(ctx, args)


def command_line() -> typer.Typer:
    """Return the command line of all COMMANDS."""
    app = typer.Typer(
        cls=CommandLine,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        subcommand_metavar="COMMAND …",
        epilog="Without CONFIG.yaml, a command takes configs/small.yaml.",
    )
    app.callback()(options)
    for name, main_of_command in COMMANDS.items():
        app.command(name, cls=Command)(main_of_command)
    app.command(RECORD, cls=Command, hidden=True)(plan.record)
    return app


def print_version(asked: bool) -> None:
    if asked:
        print(f"daguan {__version__}")
        raise typer.Exit


def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=print_version)] = False,
) -> None:
    """Label sequences of anonymised text: from raw files to a checked submission."""


def main(words: list[str]) -> int:
    """Run one command and return its exit code: 2 for a user's error, which is one line on stderr."""
    if not words or words == ["help"]:
        return main(["--help"]) or 2 * (not words)
    by_name = COMPLETION & set(words) or Path(sys.argv[0]).name == "daguan"
    command = typer.main.get_command(command_line())
    try:
        code = command.main(
            words,
            prog_name="daguan" if by_name else PROGRAM,
            complete_var="_DAGUAN_COMPLETE",
            standalone_mode=False,
        )
    except typer.TyperException as error:
        return ended(f"daguan: {explained(error)}", error.exit_code)
    except DaguanError as error:
        return ended(f"daguan: {error}", error.exit_code)
    except OSError as error:
        return ended(f"daguan: {error}", exit_code_of(error))
    if code == INTERRUPTED:
        return ended("daguan: interrupted; the same command continues", INTERRUPTED)
    return code or 0


def explained(error: Any) -> str:
    """Return what is wrong with the words or options that a user typed."""
    command = error.ctx.command
    if option := getattr(error, "option_name", ""):
        known = [one.opts[0] for one in command.params if one.opts[0].startswith("-")]
        return f"{option}: no such option; known: {', '.join([*known, '--help'])}"
    return f"{command.name}: expected {' '.join(words_of(command))}"
