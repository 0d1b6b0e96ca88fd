"""YAML as settings are written in it: plain scalars by the core schema of YAML 1.2, and each key once."""

from __future__ import annotations

import re
from typing import Any

import yaml

from daguan.core.errors import ConfigError

MERGE = "tag:yaml.org,2002:merge"
SCALARS = {  # tag, pattern, first characters; octal and hexadecimal numbers, base 60, dates and yes/no are text
    "null": (r"~|null|Null|NULL|", [*"~nN", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    "int": (r"[-+]?[0-9]+", [*"-+0123456789"]),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*"-+.0123456789"],
    ),
}


def read_yaml(text: str, place: str) -> Any:
    """Return the values that the text holds.

    Raises:
        ConfigError: a key occurs twice in one mapping; the message names the place and the line.
        ValueError: the text is not YAML.
    """
    try:
        loader = _Loader(text)
        loader.name = place
        return loader.get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without the scalars of YAML 1.1; merge keys (`<<`) stay."""

    yaml_implicit_resolvers = {"<": [(MERGE, re.compile("^<<$"))]}  # noqa: RUF012  # PyYAML reads it from the class

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse a key that occurs twice, then merge what `<<` names; PyYAML calls it for each mapping."""
        _require_distinct(node)
        super().flatten_mapping(node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return the number in base 10, whatever it begins with."""
        return int(str(self.construct_scalar(node)))


for tag, (pattern, first) in SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _require_distinct(node: yaml.MappingNode) -> None:
    keys: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                place = f"{key.start_mark.name}:{key.start_mark.line + 1}"
                raise ConfigError(f"{place}: expected each key once, got {key.value!r} again")
            keys.add((key.tag, key.value))
