"""The command `anonymise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daguan.cli.options import Json
from daguan.cli.source_options import (
    CorpusFile,
    DevUse,
    FolderWord,
    FormatName,
    RepairNames,
    SchemeName,
    SourceWord,
    TagColumn,
    TestFile,
    TestShare,
    TokenColumn,
    TokenKind,
    Whole,
    print_built,
)

KeyFile = Annotated[
    Path, typer.Option("--key", metavar="FILE", help="The key to keep; one that is there is used and lengthened.")
]


ToLabel = Annotated[bool, typer.Option("--to-label", help="Label all of SOURCE by a model of the same key.")]


def main(
    source: SourceWord,
    folder: FolderWord,
    key: KeyFile,
    format: FormatName = "",
    test: TestFile = "",
    test_share: TestShare = 0,
    corpus: CorpusFile = "",
    dev: DevUse = "train",
    to_label: ToLabel = False,
    whole: Whole = False,
    tokens: TokenKind = "words",
    token_column: TokenColumn = 0,
    tag_column: TagColumn = 0,
    scheme: SchemeName = "",
    repair: RepairNames = [],  # noqa: B006  (typer copies it)
    as_json: Json = False,
) -> None:
    """Make a contest's folder without any text, and its key.

    Shuffled numbers stand for tokens and letters for labels, so that others can train on the folder. They still see how
    often each token occurs, and where. `restore` brings their predictions back with the key.
    """
    from daguan.formats.importing import anonymise
    from daguan.formats.sources import Source

    its = Source(
        path=str(source),
        format=format,
        test=test,
        corpus=corpus,
        test_share=test_share,
        dev=dev,
        whole=whole,
        only_test=to_label,
        tokens=tokens,
        token_column=token_column,
        tag_column=tag_column,
        scheme=scheme,
        repairs=tuple(repair),
    )
    built = anonymise(its, folder, key)
    print_built(folder, built, as_json, key=str(key))
    if not as_json:
        print(f"  keep {key}: nothing else restores the text")
