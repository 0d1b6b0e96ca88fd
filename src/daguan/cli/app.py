"""The command line: one row of COMMANDS and one file in this folder for each command.

A command's file imports what it needs inside its function, so that help and `score PRED GOLD` start without torch.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from daguan import __version__
from daguan.cli.options import configuration
from daguan.cli.plan import record
from daguan.core.errors import (
    CheckpointError,
    ConfigError,
    DaguanError,
    MissingStageError,
    StoppedError,
    ended,
    exit_code_of,
)
from daguan.core.streams import drop_unwritten
from daguan.core.tables import Row

SETTINGS = Row("daguan.pipeline.settings:Settings")
OF_DATA, OF_STAGES = ("data", "contest"), ("engine", "budget")  # sections read by all commands, by those with a stage


@dataclass(frozen=True, kw_only=True)
class CommandRow(Row):
    """One command.

    `path` names its function: typer makes its words and options of the parameters, and its help of the docstring.
    `reads` are the sections of settings that it reads beside those of its stages.

    Attributes:
        stage: the last stage whose runs the command makes or reads.
        makes: the stages that a user is asked to make by this command.
        computes: whether it needs the environment variables of core/processes.py.
        settings: the kind of its settings; None if it has none.
    """

    stage: str = ""
    makes: tuple[str, ...] = ()
    computes: bool = False
    settings: Row | None = SETTINGS


COMMANDS = {
    "fit": CommandRow("daguan.cli.fit:main", stage="distil", makes=(), computes=True),
    "run": CommandRow("daguan.cli.run:main", stage="blend", makes=("budget",), computes=True),
    "doctor": CommandRow("daguan.cli.doctor:main", stage="blend", computes=True),
    "estimate": CommandRow("daguan.cli.estimate:main", stage="blend", computes=True),
    "prepare": CommandRow("daguan.cli.prepare:main", stage="prepare", makes=("prepare",), computes=True),
    "conflicts": CommandRow("daguan.cli.conflicts:main"),
    "pretrain": CommandRow("daguan.cli.pretrain:main", stage="pretrain", makes=("pretrain",), computes=True),
    "train": CommandRow("daguan.cli.train:main", stage="member", computes=True),
    "tune": CommandRow("daguan.cli.tune:main", ("tune",), stage="member", makes=("tune",), computes=True),
    "baseline": CommandRow("daguan.cli.baseline:main", stage="blend", computes=True),
    "blend": CommandRow("daguan.cli.blend:main", stage="blend", makes=("blend",), computes=True),
    "distil": CommandRow("daguan.cli.distil:main", stage="distil", makes=("distil",), computes=True),
    "submit": CommandRow("daguan.cli.submit:main", stage="blend", makes=("submit",)),
    "runs": CommandRow("daguan.cli.runs:main", stage="prepare", computes=True),
    "plan": CommandRow("daguan.cli.plan:main", ("plan",)),
    "rehearse": CommandRow("daguan.cli.rehearse:main", ("plan", "rehearse"), stage="blend", computes=True),
    "score": CommandRow("daguan.cli.score:main", stage="blend"),
    "report": CommandRow("daguan.cli.report:main", ("tune",), stage="blend", computes=True),
    "look": CommandRow("daguan.cli.look:main", stage="blend", computes=True),
    "check": CommandRow("daguan.cli.check:main", settings=None),
    "import": CommandRow("daguan.cli.importing:main", settings=None),
    "export": CommandRow("daguan.cli.export:main", settings=None),
    "anonymise": CommandRow("daguan.cli.anonymise:main", settings=None),
    "restore": CommandRow("daguan.cli.restore:main", settings=None),
    "settings": CommandRow("daguan.cli.settings:main", ("tune", "plan", "rehearse"), stage="distil"),
    "predict": CommandRow(
        "daguan.cli.predict:main", ("engine",), computes=True, settings=Row("daguan.pipeline.settings:PredictSettings")
    ),
    "reproduce": CommandRow(
        "daguan.cli.reproduce:main", computes=True, settings=Row("daguan.experiments.pointer_settings:PointingSettings")
    ),
}
RECORD = "plan record"
COMPLETION = {"--install-completion", "--show-completion"}
PROGRAM = "python -m daguan"


class Command(TyperCommand):
    """A command that shows its words as a user types them, its settings in its help, and the command to run first."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        options = [one for one in self.params if isinstance(one, TyperOption) and not one.required]
        return [*words_of(self), *(f"[{one.opts[0]}]" for one in options)]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        row = COMMANDS[(self.name or "").partition(" ")[0]]
        if row.settings:
            from daguan.cli.settings_help import settings_help

            sections = {*row.reads, *OF_DATA, *(OF_STAGES if row.stage else ())}
            with formatter.section("Settings read"):
                formatter.write_dl(settings_help(row.settings, row.stage, sections))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MissingStageError as error:
            command = next((name for name, row in COMMANDS.items() if error.stage in row.makes), "train")
            words = configuration(ctx.params["words"], ctx.params["accept_code"])
            raise CheckpointError(f"{error.problem}; run: {PROGRAM} {shlex.join([command, *words])}") from None


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
        epilog="CONFIG is a preset, small by default, or a YAML file; `settings` prints what each setting means.",
    )
    app.callback()(options)
    for name, row in COMMANDS.items():
        app.command(name, cls=Command)(row.load())
    app.command(RECORD, cls=Command, hidden=True)(record)
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
        sys.stdout.flush()  # a full disk or a closed pipe is noticed here, not when Python ends
    except typer.TyperException as error:
        return ended(f"daguan: {explained(error)}", error.exit_code)
    except DaguanError as error:
        return ended(f"daguan: {error}", error.exit_code)
    except OSError as error:
        return ended(f"daguan: {error}", exit_code_of(error))
    finally:
        drop_unwritten()
    if code == StoppedError.exit_code:  # what typer returns after Ctrl-C
        return ended("daguan: interrupted; the same command continues", code)
    return code or 0


def explained(error: Any) -> str:
    """Return what is wrong with the words or options that a user typed."""
    if getattr(error, "ctx", None) is None:  # what is said of an option alone
        return str(error.format_message())
    command = error.ctx.command
    if option := getattr(error, "option_name", ""):
        known = [one.opts[0] for one in command.params if one.opts[0].startswith("-")]
        return f"{option}: no such option; known: {', '.join([*known, '--help'])}"
    return f"{command.name}: expected {' '.join(words_of(command))}"


def words_of(command: Any) -> list[str]:
    """Return what a user types after the command's name, without options that may be left out."""
    words = [one.metavar or one.name.upper() for one in command.params if not isinstance(one, TyperOption)]
    needed = [one for one in command.params if isinstance(one, TyperOption) and one.required]
    return [*words, *(f"{one.opts[0]} {one.metavar}" for one in needed)]
