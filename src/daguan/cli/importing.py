"""The command `import`."""

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

Like = Annotated[
    str,
    typer.Option("--like", metavar="FOLDER", help="Label all of SOURCE by a model of this folder.", show_default=False),
]


def main(
    source: SourceWord,
    folder: FolderWord,
    format: FormatName = "",
    test: TestFile = "",
    test_share: TestShare = 0,
    corpus: CorpusFile = "",
    dev: DevUse = "train",
    like: Like = "",
    whole: Whole = False,
    tokens: TokenKind = "words",
    token_column: TokenColumn = 0,
    tag_column: TagColumn = 0,
    scheme: SchemeName = "",
    repair: RepairNames = [],  # noqa: B006  (typer copies it)
    as_json: Json = False,
) -> None:
    """Make a contest's folder of data in another format.

    Numbers stand for tokens, and labels of the contest for labels; vocab.tsv and labels.tsv restore both. Parts are
    found by file names that hold train, dev or test. `export` brings predictions back.
    """
    from daguan.formats.importing import build
    from daguan.formats.sources import Source

    its = Source(
        path=str(source),
        format=format,
        test=test,
        corpus=corpus,
        test_share=test_share,
        dev=dev,
        whole=whole,
        only_test=bool(like),
        tokens=tokens,
        token_column=token_column,
        tag_column=tag_column,
        scheme=scheme,
        repairs=tuple(repair),
    )
    built = build(its, folder, Path(like) if like else None)
    print_built(folder, built, as_json)
