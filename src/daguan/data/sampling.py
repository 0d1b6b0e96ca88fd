"""Draws a random sample of the distinct lines of a file of any size, in one pass and little memory."""

from __future__ import annotations

from collections.abc import Container, Iterable
from hashlib import blake2b
from heapq import heappop, heappush

from daguan.core.seeds import stream_seed

RANK_BYTES = 8


def sample_lines(lines: Iterable[str], count: int, seed: int, excluded: Container[str] = ()) -> list[str]:
    """Returns `count` distinct lines, neither empty nor excluded, or all if there are fewer.

    Each line has a random rank, a hash of its text under the seed, and the lowest ranks are drawn, in that order. So
    the order and the number of copies of the lines do not matter, and a smaller sample is a prefix of a larger one.
    """
    key = stream_seed(seed, "sampled-lines").to_bytes(RANK_BYTES, "little")
    drawn: list[tuple[int, str]] = []  # a heap of negative ranks: its first entry is dropped next
    texts: set[str] = set()
    for line in lines:
        if not line or count == 0:
            continue
        ranked = (-int.from_bytes(blake2b(line.encode(), digest_size=RANK_BYTES, key=key).digest(), "little"), line)
        if (len(drawn) == count and ranked < drawn[0]) or line in texts or line in excluded:
            continue
        heappush(drawn, ranked)
        texts.add(line)
        if len(drawn) > count:
            texts.remove(heappop(drawn)[1])
    return [line for _, line in sorted(drawn, reverse=True)]
