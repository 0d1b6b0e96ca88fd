"""python -m daguan.pipeline.reference: write docs/reference.md and docs/settings.schema.json from the declarations."""

from __future__ import annotations

from pathlib import Path

from daguan.core.files import write_text
from daguan.core.settings_reference import json_schema, reference
from daguan.pipeline.settings import Settings

ROOT = Path(__file__).parents[3]

HEAD = """# Settings

All settings of a configuration, made from their declarations by `python -m daguan.pipeline.reference`; a test keeps
this page true. A configuration is YAML; on the command line a setting is `section.key=value`, a list is `a,b`. The file
overrides the defaults, and the command line overrides the file. Where nothing reads a setting, only its default is
accepted. Editors that know JSON Schema check a configuration against [settings.schema.json](settings.schema.json).

"""


def pages() -> dict[Path, str]:
    """Returns the text of each page."""
    texts = {"reference.md": HEAD + reference(Settings), "settings.schema.json": json_schema(Settings)}
    return {ROOT / "docs" / name: text for name, text in texts.items()}


if __name__ == "__main__":
    for path, text in pages().items():
        write_text(path, text)
