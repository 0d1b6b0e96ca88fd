"""python scripts/check_export.py FOLDER LABELLED: fails unless an exported model labels the lines of a contest's file
as it does. It is run by a Python that has no daguan."""

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from exported import load

OUTSIDE = "o"


def read(line: str) -> tuple[list[str], list[tuple[int, int, str]]]:
    """Returns the tokens and the entities of a labelled line."""
    tokens: list[str] = []
    entities = []
    for segment in line.split("  "):
        text, _, label = segment.rpartition("/")
        start = len(tokens)
        tokens += text.split("_")
        if label != OUTSIDE:
            entities.append((start, len(tokens), label))
    return tokens, entities


if find_spec("daguan"):
    sys.exit("check_export: expected a Python without daguan")
lines = [*map(read, Path(sys.argv[2]).read_text("utf-8").splitlines())]
found = load(sys.argv[1]).spans([tokens for tokens, _ in lines])
wrong = [
    number
    for number, ((_, entities), line) in enumerate(zip(lines, found, strict=True), start=1)
    if [(one.start, one.stop, one.label) for one in line] != entities
]
if wrong:
    sys.exit(f"check_export: {sys.argv[1]}: {len(wrong)} of {len(lines)} lines differ, line {wrong[0]} first")
entities = sum(len(entities) for _, entities in lines)
print(f"check_export: {sys.argv[1]}: {entities:,} entities of {len(lines):,} lines are the same")
