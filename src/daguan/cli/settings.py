"""settings [CONFIG.yaml] [key=value …]: print all settings of a pipeline as YAML, with what each means."""

from __future__ import annotations

from daguan.core.settings_text import settings_text
from daguan.pipeline.settings import load


def main(words: list[str]) -> None:
    print(settings_text(load(words)), end="")
