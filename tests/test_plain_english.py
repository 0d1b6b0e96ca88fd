"""The phrases that CONTRIBUTING.md refuses occur in no docstring, comment, message or page of documentation."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFUSED = (
    "Of",  # capitalised phrases are matched as they are, the others in any case
    "so many",
    "what is left",
    "told",
    "a shade",
    "reckon",
    "such as are",
    "the kept",
    "its like",
    "their like",
    "be had",
    "be said",
    "stand around",
    "stands around",
    "kind to",
    "for want of",
    "whither",
    "anew",
    "at hand",
    "by turns",
)
FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`[^`]*`")
PATTERNS = [
    re.compile(rf"\b{phrase}(?:s|ed|ing)?\b".replace(" ", r"\s+"), 0 if phrase[0].isupper() else re.IGNORECASE)
    for phrase in REFUSED
]


def english_of_python(source: str) -> Iterator[str]:
    """Yields all strings and comments, each run of comment lines as one text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield " ".join(token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT)


def english_of(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from english_of_python(text)
    elif path.suffix == ".md":
        yield INLINE.sub("", FENCED.sub("", text))
    else:
        yield " ".join(comment for line in text.splitlines() if (comment := line.partition("#")[2]))


def pages() -> list[Path]:
    patterns = ("*.md", "requirements.txt", "docs/*.md", "data/*.md", "submissions/LEADERBOARD.md", "configs/*.yaml")
    patterns += ("scripts/*.sh", "benchmarks/*.md", *(f"{folder}/**/*.py" for folder in ("src", "tests", "benchmarks")))
    return sorted({path for pattern in patterns for path in ROOT.glob(pattern)} - {Path(__file__)})


def refused_in(path: Path) -> list[str]:
    """Each refused phrase with a few words around it."""
    found = [(text, match) for text in english_of(path) for pattern in PATTERNS for match in pattern.finditer(text)]
    return [" ".join(text[max(match.start() - 40, 0) : match.end() + 40].split()) for text, match in found]


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_a_refused_phrase(path: Path) -> None:
    assert refused_in(path) == []


def test_the_guide_lists_the_same_phrases() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("| refused | write instead |")[2]
    cells = [line.split("|")[1] for line in guide.splitlines() if line.startswith("| ")]
    quoted = {phrase for cell in cells for phrase in re.findall(r"`([^`]+)`", cell)}
    assert quoted - {"reckoned"} == set(REFUSED)


@pytest.mark.parametrize("phrase", REFUSED)
def test_each_phrase_is_found_wherever_it_may_stand(phrase: str) -> None:
    for source in (f'"""A. {phrase} x."""', f"x = f'{{y}} {phrase} x'", f"x = 1  # {phrase}\n# x"):
        texts = list(english_of_python(source))
        assert any(pattern.search(text) for pattern in PATTERNS for text in texts)
