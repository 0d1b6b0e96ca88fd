"""The command `submit`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Write the checked submission, its manifest and table row."""
    from daguan.pipeline import submit

    path, manifest = submit.make(configuration(words, accept_code))
    if as_json:
        print_json({"submission": str(path), **manifest})
