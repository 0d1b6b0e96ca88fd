"""The command `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json, print_json

Rest = Annotated[
    list[str],
    typer.Argument(default_factory=list, metavar="[OUTPUT] [engine.key=value …]", hidden=True, show_default=False),
]


def main(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of trained models.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="The file to label; - is standard input.")],
    words: Rest,
    written: Annotated[
        str, typer.Option("--format", help="How labelled lines are written: contest, or json with probabilities.")
    ] = "contest",
    as_json: Json = False,
) -> None:
    """Label a new file with trained models.

    Without OUTPUT, or with -, labelled lines go to standard output. No training data are needed. MODEL is the folder of
    a blend, which run_all.sh names (all its models, blended as in training), of a member, of the student that `distil`
    names, or of one model.
    """
    from daguan.core import settings
    from daguan.core.progress import say
    from daguan.core.settings import require
    from daguan.data.format import STANDARD
    from daguan.pipeline.settings import PredictSettings
    from daguan.pipeline.work.predict import WRITTEN, label_file

    target, words = (Path(words[0]), words[1:]) if words and "=" not in words[0] else (STANDARD, words)
    require("--format", written in WRITTEN, " or ".join(WRITTEN), written)
    require("--json", not as_json or target != STANDARD, "an OUTPUT, as standard output has the labelled lines", "none")
    found = label_file(model, source, target, settings.load(PredictSettings, None, words).engine, written)
    if as_json:
        print_json({"output": str(target), **found})
    else:
        say(
            f"predict: {target}: {found['lines']:,} lines by {found['models']} models, "
            f"{found['lines_per_second']:,.0f} lines/s, {found['tokens_per_second']:,.0f} tokens/s"
        )
