"""The command `fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli import run
from daguan.cli.export import say_exported
from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration
from daguan.cli.tables.students import print_students


def main(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The data: a contest's folder, or another format.")],
    words: Words,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="The time that training may take; else what CONFIG says.", min=0)
    ] = None,
    ship: Annotated[
        Path | None,
        typer.Option(
            "--ship", metavar="MODEL", help="Distil and export the blend to this new folder.", show_default=False
        ),
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="FORM", help="Its form: hf, onnx or onnx-int8.")] = "hf",
    accept_code: AcceptCode = False,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Train on a folder of data in the minutes given, and submit.

    It is `run` with data.dir and budget.minutes in short, and with cpu_1h, which fits into any number of minutes, where
    no CONFIG is named. `daguan.fit` is the same in Python.

    With --ship, `distil` and `export` follow, beyond the minutes: at most distil.length times as long as two folds of
    the student's member take, a fold of the n-gram CRF, and the labelling of its lines.
    """
    from daguan.api.fitting import BUDGET

    named = words if words and "=" not in words[0] else [BUDGET, *words]
    budget = [] if minutes is None else [f"budget.minutes={minutes:g}"]
    words = [*named, f"data.dir={folder}", *budget]
    if ship:
        _require_shippable(words, ship, to)  # before hours of training
    run.main(words, accept_code, csv, as_json)
    if ship:
        _ship(configuration(words, accept_code), ship, to, as_json)


def _require_shippable(words: list[str], folder: Path, to: str) -> None:
    """Raises DaguanError: what would be shipped cannot be written."""
    from daguan.core.errors import ConfigError
    from daguan.core.settings import require
    from daguan.models.encoders import hub
    from daguan.models.encoders.pieces import Pieces
    from daguan.pipeline import distil
    from daguan.pipeline.settings import load
    from daguan.pipeline.shipping.export import form_for, refusal

    form, settings = form_for(folder, to), load(words)
    for student in distil.candidates(settings):
        config = settings.member(student)
        require("distil.student", config.family == distil.TAGGER, "a tagger, as --ship exports it", student)
        if reason := refusal(form, config.model):
            raise ConfigError(f"{student}, which `distil` may make the student: {reason}; or set distil.student")
        if config.model.pieces and not hub.is_absent(config.encoder.checkpoint):
            checkpoint = config.encoder.checkpoint
            place = hub.here(checkpoint) if hub.is_on_hub(checkpoint) else checkpoint
            Pieces.of_checkpoint(Path(place), {}).backend()


def _ship(words: list[str], folder: Path, to: str, as_json: bool) -> None:
    from daguan.pipeline import distil
    from daguan.pipeline.budget.plan import load
    from daguan.pipeline.shipping.export import export

    student = distil.make(load(words))
    if not as_json:
        print_students(student.manifest()["sides"], student.manifest()["gains"])
    say_exported(folder, export(student.path, folder, to))
