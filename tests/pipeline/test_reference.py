"""The reference and the JSON Schema are what the declarations say, and the schema fits every preset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daguan.core.read_settings import settings_of
from daguan.core.yaml_text import read_yaml
from daguan.pipeline.reference import ROOT, pages
from daguan.pipeline.settings import PRESETS, Settings

CONFIGS = sorted(PRESETS.glob("*.yaml"))
SCHEMA = json.loads((ROOT / "docs" / "settings.schema.json").read_text("utf-8"))
TYPES = {"integer": int, "number": int | float, "boolean": bool, "string": str, "array": list, "object": dict}


@pytest.mark.parametrize(("path", "text"), pages().items(), ids=lambda one: getattr(one, "name", ""))
def test_the_pages_are_what_the_command_writes(path: Path, text: str) -> None:
    assert path.read_text("utf-8") == text, "run: python -m daguan.pipeline.reference"


def test_the_reference_names_every_setting_once() -> None:
    page = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert all(page.count(f"\n| `{one.path}` |") == 1 for one in settings_of(Settings))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_an_editor_finds_no_fault_in_a_preset(config: Path) -> None:
    text = config.read_text("utf-8")
    assert text.startswith("# yaml-language-server: $schema=../docs/settings.schema.json\n")
    assert list(faults(read_yaml(text, str(config)), SCHEMA)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"train": {"epoch": 1}},
        {"train": {"epochs": 0}},
        {"train": {"optimiser": "sgd"}},
        {"ensemble": {"x": {"train": {"epochs": 1.5}}}},
    ],
)
def test_an_editor_finds_what_the_loader_refuses(values: dict[str, Any]) -> None:
    assert list(faults(values, SCHEMA))


def faults(value: Any, schema: dict[str, Any], place: str = "") -> Any:
    """Gives the places where a value does not fit, by the keywords of JSON Schema that our schema uses."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        yield f"{place}: no {schema['type']}"
    elif isinstance(value, dict):
        others = schema.get("additionalProperties", True)
        for key, inner in value.items():
            known = schema.get("properties", {}).get(key, others)
            if known is False:
                yield f"{place}.{key}: unknown"
            elif known is not True:
                yield from faults(inner, known, f"{place}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from faults(inner, schema.get("items", {}), place)
    elif value not in schema.get("enum", [value]) or value < schema.get("minimum", value):
        yield f"{place}: out of bounds"
