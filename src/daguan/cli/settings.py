"""The command `settings`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Print all settings with their meaning, as a configuration."""
    from daguan.core.settings import to_dict
    from daguan.core.settings_text import settings_text
    from daguan.pipeline.settings import load

    found = load(configuration(words, accept_code))
    if as_json:
        print_json(to_dict(found))
    else:
        print(settings_text(found), end="")
