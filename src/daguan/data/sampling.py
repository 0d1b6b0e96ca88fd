"""A random sample of the distinct lines of a file of any size, in one pass and little memory."""

from __future__ import annotations

from collections.abc import Container, Iterable
from hashlib import blake2b
from heapq import heappop, heappush

from daguan.core.seeds import stream_seed

RANK_BYTES = 8


def sample_lines(lines: Iterable[str], count: int, seed: int, excluded: Container[str] = ()) -> list[str]:
    """`count` distinct lines, neither empty nor excluded; all of them where there are no more. Each line has a random
    rank, a hash of its text under the seed, and the lowest are drawn, in that order: neither the order of the lines nor
    how often one stands there plays a part, and a smaller sample is the beginning of a larger one."""
    key = stream_seed(seed, "sampled-lines").to_bytes(RANK_BYTES, "little")
    drawn: list[tuple[int, str]] = []  # a heap of negative ranks: the first one is the next to go
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
