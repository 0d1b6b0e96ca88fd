"""python hf_pipeline.py FOLDER <LINES: labels lines by Hugging Face's own calls, without daguan.

FOLDER is what `daguan export MODEL FOLDER --to hf` wrote. White space separates the tokens of a line; answers are JSON.
It needs torch, transformers and safetensors, and runs the Python files of FOLDER.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from transformers import pipeline


def entities(label: Any, lines: Sequence[Sequence[str]], batch_size: int = 16) -> list[list[tuple[int, int, str]]]:
    """Returns the entities of each line, (start, stop, label), half-open in tokens.

    `label` is a pipeline for token classification with aggregation_strategy="simple": it answers in characters of the
    tokens joined by blanks. Its scores are means over tokens; `model.spans` gives the probabilities of whole entities.
    """
    found = label([*map(list, lines)], is_split_into_words=True, batch_size=batch_size)
    return [[*map(Places(line).of, groups)] for line, groups in zip(lines, found, strict=True)]


class Places:
    """The places of a line's tokens in its text."""

    def __init__(self, tokens: Sequence[str]) -> None:
        ends = [*accumulate(len(token) + 1 for token in tokens)]
        self.starts = {start: number for number, start in enumerate([0, *ends[:-1]])}
        self.stops = {end - 1: number + 1 for number, end in enumerate(ends)}

    def of(self, group: dict[str, Any]) -> tuple[int, int, str]:
        """Returns the entity that a pipeline's group is."""
        return self.starts[group["start"]], self.stops[group["end"]], group["entity_group"]


def main() -> None:
    label = pipeline("token-classification", model=sys.argv[1], trust_remote_code=True, aggregation_strategy="simple")
    lines = [line.split() for line in sys.stdin]
    for found in entities(label, lines):
        print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
