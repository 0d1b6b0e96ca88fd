"""prepare [CONFIG] [key=value …]: build the built-in contest, report on the data, fix folds and ids.

With budget.minutes, a plan is made first: see `budget` in `python -m daguan settings`.
"""

from __future__ import annotations

from daguan.pipeline import prepare
from daguan.pipeline.settings import load


def main(words: list[str]) -> None:
    prepare.make_planned(load(words))
