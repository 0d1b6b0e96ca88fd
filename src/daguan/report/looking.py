"""One line or one string of a report, for a terminal: the same as its page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from daguan.core.errors import ConfigError
from daguan.core.types import Span
from daguan.data.format import split_tokens
from daguan.report.columns import unpacked
from daguan.report.findings import Findings
from daguan.report.kinds import CORRECT, NAMES, NO_GOLD
from daguan.report.lines import TEST_FOLD, spans_of
from daguan.report.places import MOST_PLACES

OUTSIDE = "o"
AROUND = 6  # tokens before and after a place


class Entity(NamedTuple):
    """An entity of one track: its place, label and probability, and the kind of error, empty for none."""

    start: int
    stop: int
    label: str
    probability: float
    error: str


class Place(NamedTuple):
    """A place of a string: the line, the tokens around it, and what gold and the submitted answer label there."""

    line: str
    before: list[str]
    after: list[str]
    gold: str
    answer: str


class View:
    """The lines of a report, decoded."""

    def __init__(self, findings: Findings) -> None:
        columns = findings.lines
        self.findings, self.train = findings, int(columns["train"])
        text, first = unpacked(columns["text"]).tolist(), unpacked(columns["first"]).tolist()
        self.lines = [[findings.tokens[i] for i in text[low:high]] for low, high in pairwise(first)]
        self.folds = unpacked(columns["folds"]).tolist()
        self.tracks = {one["name"]: spans_of(one, columns["labels"]) for one in columns["tracks"]}
        self._first = first

    def name(self, number: int) -> str:
        """Returns what a line is called; lines of each file are counted from 1."""
        return f"train {number + 1}" if number < self.train else f"test {number - self.train + 1}"

    def number(self, wanted: str, in_test: bool) -> int:
        """Returns the number of a line among all, by its number in its file. Raises ConfigError: there is none."""
        low, high = (self.train, len(self.lines)) if in_test else (0, self.train)
        if not wanted.isdecimal() or not 1 <= int(wanted) <= high - low:
            raise ConfigError(f"line: expected a number from 1 to {high - low}, got {wanted!r}")
        return low + int(wanted) - 1

    def line(self, number: int) -> dict[str, Any]:
        """Returns the tokens of a line, its fold, the entities of every track, and the unsure tokens' best tags."""
        tracks = {name: self._entities(name, number) for name, lines in self.tracks.items() if number < len(lines)}
        fold = None if self.folds[number] == TEST_FOLD else self.folds[number]
        return {
            "line": self.name(number),
            "fold": fold,
            "tokens": self.lines[number],
            "tracks": {name: [one._asdict() for one in found] for name, found in tracks.items()},
            "unsure": self._unsure(number),
        }

    def _entities(self, name: str, number: int) -> list[Entity]:
        stored = next(one["columns"] for one in self.findings.lines["tracks"] if one["name"] == name)
        spans = self.tracks[name][number]
        low = int(unpacked(stored["first"])[number])
        kinds = (
            unpacked(stored["kind"])[low : low + len(spans)].tolist() if "kind" in stored else [CORRECT] * len(spans)
        )
        return [
            Entity(s.start, s.stop, s.label, s.probability, "" if kind in (CORRECT, NO_GOLD) else NAMES[kind])
            for s, kind in zip(spans, kinds, strict=True)
        ]

    def _unsure(self, number: int) -> dict[int, dict[str, dict[str, float]]]:
        """Returns for each token of which some member is unsure the best tags of each track."""
        kept = self.findings.lines["marginals"]
        shape = (-1, len(kept["tracks"]), kept["best"])
        tags, probs = (unpacked(kept[name]).reshape(shape) for name in ("tag", "probability"))
        low, high = self._first[number], self._first[number + 1]
        return {
            place - low: {
                track: {
                    kept["tags"][t]: round(p / 255, 3) for t, p in zip(tags[row, k], probs[row, k], strict=True) if p
                }
                for k, track in enumerate(kept["tracks"])
            }
            for row, place in enumerate(unpacked(kept["tokens"]).tolist())
            if low <= place < high
        }

    def string(self, text: str) -> dict[str, Any]:
        """Returns the places of a string, all counted and at most MOST_PLACES listed, with its labels, neighbours and
        similar strings. Raises ConfigError: it occurs in no line."""
        wanted = split_tokens(text)
        found = [(n, at) for n, line in enumerate(self.lines) for at in _places(line, wanted)]
        if not found:
            raise ConfigError(f"string: expected tokens of train or test, joined by '_', got {text!r}")
        gold, answer, *_ = self.tracks
        labels = Counter(self._label(gold, *place, len(wanted)) for place in found if place[0] < len(self.tracks[gold]))
        places = [self._place(n, at, len(wanted), (gold, answer)) for n, at in found[:MOST_PLACES]]
        facts = {"train": sum(n < self.train for n, _ in found), "test": sum(n >= self.train for n, _ in found)}
        return {"string": text, **facts, "labels": dict(labels.most_common()), **self._known(wanted)} | {
            "places": [one._asdict() for one in places]
        }

    def _place(self, number: int, at: int, length: int, tracks: tuple[str, str]) -> Place:
        line = self.lines[number]
        labels = [self._label(t, number, at, length) if number < len(self.tracks[t]) else "" for t in tracks]
        return Place(self.name(number), line[max(0, at - AROUND) : at], line[at + length :][:AROUND], *labels)

    def _label(self, track: str, number: int, at: int, length: int) -> str:
        """Returns the label of a place: `o` where no entity is, `in a` where it is only a part of one or crosses it."""
        met: Span | None = next((s for s in self.tracks[track][number] if s.start < at + length and s.stop > at), None)
        if met is None:
            return OUTSIDE
        return met.label if (met.start, met.stop) == (at, at + length) else f"in {met.label}"

    def _known(self, wanted: Sequence[str]) -> dict[str, Any]:
        """Returns what is stored of a string that is an entity somewhere; nothing of others."""
        stored, tokens = self.findings.strings, self.findings.tokens
        text, first = unpacked(stored["text"]).tolist(), unpacked(stored["first"]).tolist()
        strings = [[tokens[i] for i in text[low:high]] for low, high in pairwise(first)]
        if list(wanted) not in strings:
            return {}
        number = strings.index(list(wanted))
        known: dict[str, Any] = {
            "corpus": int(unpacked(stored["corpus"])[number]),
            "rank": int(unpacked(stored["rank"])[number]),
        }
        for side in ("left", "right"):
            low, high = unpacked(stored[side]["first"])[number : number + 2]
            pairs = zip(*(unpacked(stored[side][name])[low:high].tolist() for name in ("token", "count")), strict=True)
            known[side] = {tokens[token - 1] if token else "": count for token, count in pairs}
        near = stored["near"]
        if near and number < len(unpacked(near["known"])) and unpacked(near["known"])[number]:
            here = slice(number * near["each"], (number + 1) * near["each"])
            pairs = zip(unpacked(near["string"])[here].tolist(), unpacked(near["cosine"])[here].tolist(), strict=True)
            known["near"] = {"_".join(strings[other]): round(cosine / 255, 3) for other, cosine in pairs if cosine}
        return known


def _places(line: Sequence[str], wanted: Sequence[str]) -> list[int]:
    size = len(wanted)
    return [at for at in range(len(line) - size + 1) if line[at] == wanted[0] and list(line[at : at + size]) == wanted]
