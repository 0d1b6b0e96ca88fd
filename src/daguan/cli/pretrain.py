"""The command `pretrain`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Pretrain the encoders that members start from, on all the text.

    An encoder is trained from scratch or continued from a public checkpoint; encoders without pretraining get token
    vectors.
    """
    from daguan.pipeline import pretrain
    from daguan.pipeline.budget.plan import load

    runs = pretrain.make(load(configuration(words, accept_code)))
    if as_json:
        print_json({run.path.name: run.manifest() for run in runs})
