"""The labels of each line of a contest by each track: gold, the blend, the mean, and every member."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daguan.core.types import Sentence, Span
from daguan.data.format import read_labelled
from daguan.data.marginals import mean
from daguan.data.tags import TagScheme
from daguan.ensemble import blending
from daguan.ensemble.answers import load_answers
from daguan.ensemble.combination import MemberMarginals
from daguan.ensemble.lookup import replace_known_lines
from daguan.pipeline.stages import Stages
from daguan.training.prediction import annotate

GOLD, FINAL, MEAN, MEMBER = "gold", "final", "mean", "member"  # roles
Spans = tuple[Span, ...]


class Track(NamedTuple):
    """The labels of one source.

    Attributes:
        name: of the member, of the blend, or `gold`.
        role: gold, final (the submitted answer), mean, or member.
        train: the spans of each training line, out of fold but for gold.
        test: the spans of each test line; None where gold labels are not known.
    """

    name: str
    role: str
    train: list[Spans]
    test: list[Spans] | None

    @property
    def lines(self) -> list[Spans]:
        """The spans of the training lines, and then of the test lines where these are labelled."""
        return [*self.train, *(self.test or [])]


@dataclass(frozen=True)
class Labelled:
    """All lines with all tracks.

    Attributes:
        train, test: the lines that take part, with gold labels, and the test lines.
        tracks: gold first, then the submitted answer, the mean, and the members.
        fold_of_line: (N,) of the training lines.
        marginals: of each member, of the training lines out of fold.
        test_marginals: of each member, of the test lines.
    """

    train: list[Sentence]
    test: list[Sentence]
    tracks: list[Track]
    fold_of_line: NDArray[np.int64]
    scheme: TagScheme
    members: list[str]
    marginals: MemberMarginals
    test_marginals: MemberMarginals

    @property
    def gold(self) -> Track:
        return self.tracks[0]

    @property
    def answers(self) -> list[Track]:
        """The tracks but gold."""
        return self.tracks[1:]

    @property
    def final(self) -> Track:
        return self.tracks[1]

    @property
    def sentences(self) -> list[Sentence]:
        """All lines, the training lines first."""
        return [*self.train, *self.test]

    def strings(self) -> dict[tuple[str, ...], int]:
        """Returns a number for each string that is an entity of any track, the most frequent entity first."""
        counts: dict[tuple[str, ...], int] = {}
        for track in self.tracks:
            for sentence, spans in zip(self.sentences, track.lines, strict=False):
                for span in spans:
                    string = sentence.tokens[span.start : span.stop]
                    counts[string] = counts.get(string, 0) + 1
        ordered = sorted(counts, key=lambda string: (-counts[string], string))
        return {string: number for number, string in enumerate(ordered)}

    def means(self) -> Iterator[NDArray[np.float32]]:
        """Yields the members' mean marginals (T,K) of each line."""
        for part in (self.marginals, self.test_marginals):
            yield from (one.astype(np.float32) for one in mean(part))


def labelled(stages: Stages) -> Labelled:
    """Returns the lines as the finished blend of a configuration labels them. Raises CheckpointError: it is missing."""
    final, prepared = stages.answered()["final"], stages.prepared
    members = [blending.load_member(run.path, prepared.folds) for run in stages.members]
    known = prepared.known if stages.settings.blend.lookup else []
    gold = stages.contest.test_gold
    test_gold = [line.gold for line in read_labelled(gold)] if gold.is_file() else None
    tracks = [Track(GOLD, GOLD, [line.gold for line in prepared.train], test_gold)]
    names = {member.name for member in members}
    rows = load_answers(stages.answer.path)
    for name in sorted(rows, key=lambda name: (name != final, name in names)):
        role = FINAL if name == final else MEMBER if name in names else MEAN
        predicted = annotate(prepared.test, rows[name].test)
        test = _with_probabilities(replace_known_lines(predicted, known), predicted)
        tracks.append(Track(name, role, rows[name].train, test))
    return Labelled(
        train=prepared.train,
        test=prepared.test,
        tracks=tracks,
        fold_of_line=prepared.fold_of_line,
        scheme=prepared.scheme,
        members=[member.name for member in members],
        marginals=[member.held_out for member in members],
        test_marginals=[member.test for member in members],
    )


def _with_probabilities(lines: Sequence[Sentence], predicted: Sequence[Sentence]) -> list[Spans]:
    """Returns the spans of lines, those that are as predicted with their probabilities."""
    return [ours.gold if ours != theirs else theirs.gold for ours, theirs in zip(lines, predicted, strict=True)]
