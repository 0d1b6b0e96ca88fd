"""A page of the official contest's size, with five members and their marginals, stays below 15 MB.

The page grows with the lines by what each adds, as marginals and places in the corpus are bounded. So the size is
measured on two small contests with the official one's lengths, and extrapolated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daguan.core.types import Sentence, Span
from daguan.data.tags import TagScheme
from daguan.report.lines import line_columns
from daguan.report.page_json import page_json
from daguan.report.places import AROUND, MOST_SNIPPETS, contested, string_columns
from daguan.report.tracks import FINAL, GOLD, MEAN, MEMBER, Labelled, Track

LINES, TOKENS, ENTITIES, TYPES = 20_000, 51, 39_000, 21_000  # train and test; tokens of a line; entities; tokens
SMALL, LARGE = 1_200, 2_400  # lines; of both, as many marginals are kept as there may be
LARGEST = 15e6
REST = 1.2e6  # tables, plots, style and scripts; those of uner_zh with five members and five folds take less
SNIPPET = 4 * (2 * AROUND + 3 + 4)  # bytes: tokens, string, line, where it begins, in base64
MEMBERS = 5
SCHEME = TagScheme(("a", "b", "c"))


def made(lines: int) -> Labelled:
    """Lines with Zipf's frequencies; members that find most entities, and are unsure of most tokens."""
    rng = np.random.default_rng(5)
    weights = 1 / np.arange(1, TYPES + 1)
    drawn = rng.choice(TYPES, (lines, TOKENS), p=weights / weights.sum())
    sentences = []
    for tokens in drawn.tolist():
        starts = sorted(
            rng.choice(TOKENS // 6, min(TOKENS // 6, rng.poisson(ENTITIES / LINES)), replace=False).tolist()
        )
        spans = tuple(Span(6 * s, 6 * s + int(rng.integers(1, 5)), "abc"[rng.integers(3)]) for s in starts)
        sentences.append(Sentence(tuple(map(str, tokens)), spans))

    def answer() -> list[tuple[Span, ...]]:
        return [tuple(one for one in line.gold if rng.random() < 0.85) for line in sentences]

    roles = [("blend", FINAL), ("mean", MEAN), *((f"member-0123456789ab{n}", MEMBER) for n in range(MEMBERS))]
    tracks = [Track("gold", GOLD, [line.gold for line in sentences], []), *(Track(*one, answer(), []) for one in roles)]
    marginals = [
        [*rng.dirichlet(np.full(len(SCHEME), 0.1), (lines, TOKENS)).astype(np.float16)] for _ in range(MEMBERS)
    ]
    return Labelled(
        train=sentences,
        test=[],
        tracks=tracks,
        fold_of_line=np.arange(lines) % 5,
        scheme=SCHEME,
        members=[name for name, role in roles if role == MEMBER],
        marginals=marginals,
        test_marginals=[[] for _ in range(MEMBERS)],
    )


def bytes_of(lines: int) -> int:
    found, vocabulary = made(lines), dict[str, int]()
    columns = line_columns(found, ["a", "b", "c"], vocabulary)
    strings = found.strings()
    differing = contested(strings, [track.lines for track in found.tracks], found.sentences)
    places = string_columns(strings, found.sentences, Path("none"), differing, vocabulary, None)
    return len(page_json({"lines": columns, "strings": places, "tokens": [*vocabulary]}))


def test_a_page_of_the_official_size_stays_below_15_mb() -> None:
    small, large = bytes_of(SMALL), bytes_of(LARGE)
    each = (large - small) / (LARGE - SMALL)
    expected = large + each * (LINES - LARGE) + SNIPPET * MOST_SNIPPETS + REST
    assert 1e6 < expected < LARGEST, (small, large, expected)
