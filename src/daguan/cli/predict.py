"""The command `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json, print_json

EngineWords = Annotated[
    list[str], typer.Argument(default_factory=list, metavar="[engine.key=value …]", hidden=True, show_default=False)
]


def main(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of trained models.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="The file to label.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file to write.")],
    words: EngineWords,
    as_json: Json = False,
) -> None:
    """Label a new file with trained models.

    No training data are needed. MODEL is the folder of a blend, which run_all.sh names (all its models, blended as in
    training), of a member, of the student that `distil` names, or of one model.
    """
    from daguan.core import settings
    from daguan.core.progress import say
    from daguan.pipeline.settings import PredictSettings
    from daguan.pipeline.work.predict import label_file

    found = label_file(model, source, target, settings.load(PredictSettings, None, words).engine)
    if as_json:
        print_json({"output": str(target), **found})
    else:
        say(
            f"predict: {target}: {found['lines']:,} lines by {found['models']} models, "
            f"{found['lines_per_second']:,.0f} lines/s, {found['tokens_per_second']:,.0f} tokens/s"
        )
