"""What a request to examples/serve.py may ask for, and what it is answered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict

from exported import Entity

TOKEN = re.compile(r"\S+")


class Limits(NamedTuple):
    """What a request may ask for; beyond it, the answer is 413 or 422, or 503 where too much waits."""

    body: int = 1_000_000  # bytes
    lines: int = 1_000
    tokens: int = 5_000  # of a line
    batch_tokens: int = 4_096
    waiting: int = 500_000  # tokens of all requests
    seconds: float = 30.0


class Asked(BaseModel):
    """What is to be labelled: either lines of tokens, or texts."""

    model_config = ConfigDict(extra="forbid")
    lines: list[list[str]] | None = None
    texts: list[str] | None = None


class Found(BaseModel):
    """An entity."""

    start: int
    stop: int
    label: str
    probability: float


class Answer(BaseModel):
    """The entities of each line, in the order of the request."""

    entities: list[list[Found]]


class Line(NamedTuple):
    """The tokens of a line, and where each begins and ends: in the text, or among the tokens."""

    tokens: list[str]
    places: list[tuple[int, int]]

    @classmethod
    def of_tokens(cls, tokens: list[str]) -> Line:
        return cls(tokens, [(number, number + 1) for number in range(len(tokens))])

    @classmethod
    def of_text(cls, text: str) -> Line:
        """Returns the tokens that white space separates."""
        found = [*TOKEN.finditer(text)]
        return cls([one.group() for one in found], [one.span() for one in found])

    def answer(self, entities: Sequence[Entity]) -> list[Found]:
        """Returns the entities with their places."""
        ends = [(self.places[one.start][0], self.places[one.stop - 1][1]) for one in entities]
        return [
            Found(start=start, stop=stop, label=one.label, probability=one.probability)
            for one, (start, stop) in zip(entities, ends, strict=True)
        ]


def read(asked: Asked, limits: Limits) -> list[Line]:
    """Returns the lines of a request. Raises HTTPException: there is nothing to label, or something beyond a limit."""
    given = {name: value for name, value in asked if value is not None}
    if len(given) != 1:
        raise HTTPException(422, f"expected lines or texts, got {'both' if given else 'neither'}")
    ((name, values),) = given.items()
    if len(values) > limits.lines:
        raise HTTPException(413, f"{name}: expected at most {limits.lines:,}, got {len(values):,}")
    lines = [*map(Line.of_tokens if name == "lines" else Line.of_text, values)]
    for number, line in enumerate(lines):
        if len(line.tokens) > limits.tokens:
            got = f"expected at most {limits.tokens:,} tokens, got {len(line.tokens):,}"
            raise HTTPException(422, f"{name}.{number}: {got}")
        for place, token in enumerate(line.tokens):
            if not TOKEN.fullmatch(token):
                got = f"expected a token without white space, got {token!r:.40}"
                raise HTTPException(422, f"{name}.{number}.{place}: {got}")
    return lines
