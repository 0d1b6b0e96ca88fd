"""check SUBMISSION TEST [labels=a,b,c]: may this file be sent? Exit code 0 or 2."""

from __future__ import annotations

from pathlib import Path

from daguan.competition import gate
from daguan.core.errors import ConfigError


def main(words: list[str]) -> None:
    options = [word for word in words if word.startswith("labels=")]
    files = [word for word in words if word not in options]
    if len(files) != 2 or len(options) > 1:
        raise ConfigError("check: expected SUBMISSION TEST [labels=a,b,c]")
    labels = options[0].removeprefix("labels=").split(",") if options else None
    lines = gate.check(Path(files[0]), Path(files[1]), labels)
    print(f"{files[0]}: {lines:,} lines, good")
