"""The command `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json, print_json
from daguan.core.quantity import quantity

Rest = Annotated[
    list[str],
    typer.Argument(default_factory=list, metavar="[OUTPUT] [engine.key=value …]", hidden=True, show_default=False),
]


def main(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of trained models.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="What to label; - is standard input.")],
    words: Rest,
    read_as: Annotated[
        str,
        typer.Option(
            "--from", metavar="NAME", show_default=False, help="The format of INPUT, as of import, or text; else found."
        ),
    ] = "",
    written: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            show_default=False,
            help="The format of the answer, or json with probabilities; else that of OUTPUT's name, or of INPUT.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Label new text with trained models.

    INPUT is a file of lines as test.txt, or data in any format that `import` reads, or plain text; the answer is in the
    same text and format. Without OUTPUT, or with -, it goes to standard output. No training data are needed. MODEL is
    the folder of a blend, which run_all.sh names (all its models, blended as in training), of a member, of the student
    that `distil` names, or of one model.
    """
    from daguan.core import settings
    from daguan.core.progress import say
    from daguan.core.settings import require
    from daguan.data.format import STANDARD
    from daguan.pipeline.predict import label
    from daguan.pipeline.settings import PredictSettings

    target, words = (Path(words[0]), words[1:]) if words and "=" not in words[0] else (STANDARD, words)
    require("--json", not as_json or target != STANDARD, "an OUTPUT, as standard output has the labelled lines", "none")
    found = label(model, source, target, settings.load(PredictSettings, None, words).engine, read_as, written)
    if as_json:
        print_json({"output": str(target), **found})
        return
    of = f"{quantity(found['documents'], 'document')} as {found['format']}, " if "documents" in found else ""
    unknown = f", {quantity(found['unknown_tokens'], 'unknown token')}" if found.get("unknown_tokens") else ""
    say(
        f"predict: {target}: {of}{quantity(found['lines'], 'line')} by {quantity(found['models'], 'model')}{unknown}, "
        f"{found['lines_per_second']:,.0f} lines/s, {found['tokens_per_second']:,.0f} tokens/s"
    )
