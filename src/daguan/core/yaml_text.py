"""YAML as settings are written in it: plain scalars by the core schema of YAML 1.2, and each key once.

So yes and on, 1:30, 0x10 and dates are text, and 010 is no octal number: it is text, too, which settings of numbers
read as ten.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from daguan.core.errors import ConfigError

MERGE = "tag:yaml.org,2002:merge"
SCALARS = {  # tag, pattern, first characters
    "null": (r"~|null|Null|NULL|", [*"~nN", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    "int": (r"[-+]?(0|[1-9][0-9]*)", [*"-+0123456789"]),
    "float": (
        r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*"-+.0123456789"],
    ),
}


def read_yaml(text: str, place: str) -> Any:
    """Returns the values that the text holds.

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
    except RecursionError:
        raise ValueError("brackets that are nested too deeply") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without the scalars of YAML 1.1; merge keys (`<<`) stay."""

    yaml_implicit_resolvers = {"<": [(MERGE, re.compile("^<<$"))]}  # noqa: RUF012  # PyYAML reads it from the class

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.flattened: set[yaml.MappingNode] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuses a key that occurs twice, then merges what `<<` names. PyYAML calls it for each mapping, and again for
        one that another merges: by then it has all keys, merged ones beside those that override them."""
        if node not in self.flattened:
            _require_distinct(node)
            self.flattened.add(node)
            super().flatten_mapping(node)


for tag, (pattern, first) in SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


def _require_distinct(node: yaml.MappingNode) -> None:
    keys: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                place = f"{key.start_mark.name}:{key.start_mark.line + 1}"
                raise ConfigError(f"{place}: expected each key once, got {key.value!r} again")
            keys.add((key.tag, key.value))
