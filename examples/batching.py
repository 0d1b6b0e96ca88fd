"""Dynamic batching: lines of requests that wait at the same time are labelled in batches of lines of similar length."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

Tokens = Sequence[str]
Label = Callable[[list[Tokens]], list[Any]]


class FullError(Exception):
    """More waits than may wait: ask again later."""


class Waiting(NamedTuple):
    """A line that waits for its batch: its number among all lines so far, its tokens, and where its answer goes."""

    number: int
    tokens: Tokens
    answer: asyncio.Future[Any]


class Batcher:
    """Labels lines by one thread, which computes one batch at a time. Used by `async with`.

    A batch takes what has come while the one before it was computed, so no line waits for others to come, and batches
    grow with the load. It has lines of one bucket alone: lengths from a power of two to below the next one, so that at
    most half of it is padding. The bucket is that of the line that has waited longest.

    Attributes:
        waiting: number of tokens that wait.
        seen: called after each batch with its lines and its seconds.
    """

    def __init__(
        self,
        label: Label,
        batch_tokens: int = 4096,
        most_waiting: int = 500_000,
        seen: Callable[[list[Tokens], float], None] = lambda lines, seconds: None,
    ) -> None:
        """batch_tokens: most tokens of a batch, padding included, but for a lone line; most_waiting: most tokens that
        may wait."""
        self._label, self._batch_tokens, self._most_waiting, self.seen = label, batch_tokens, most_waiting, seen
        self._buckets: defaultdict[int, deque[Waiting]] = defaultdict(deque)
        self._numbers, self.waiting = count(), 0
        self._come, self._ending = asyncio.Event(), False

    async def __aenter__(self) -> Batcher:
        self._thread = ThreadPoolExecutor(1)
        self._work = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Waits until all lines that wait are answered."""
        self._ending = True
        self._come.set()
        await self._work
        self._thread.shutdown()

    async def answers(self, lines: Sequence[Tokens]) -> list[Any]:
        """Returns the answer to each line. Raises FullError, and what labelling raised."""
        tokens = sum(map(len, lines))
        if self.waiting and self.waiting + tokens > self._most_waiting:
            raise FullError
        loop = asyncio.get_running_loop()
        jobs = [Waiting(next(self._numbers), line, loop.create_future()) for line in lines]
        for job in jobs:
            self._buckets[len(job.tokens).bit_length()].append(job)
        self.waiting += tokens
        self._come.set()
        return await asyncio.gather(*(job.answer for job in jobs))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while jobs := self._next_batch():
                began, lines = monotonic(), [job.tokens for job in jobs]
                done = loop.run_in_executor(self._thread, self._label, lines)
                await asyncio.wait([done])
                self.seen(lines, monotonic() - began)
                _answer(jobs, done)
            if self._ending:
                return
            self._come.clear()
            await self._come.wait()

    def _next_batch(self) -> list[Waiting]:
        """Takes the next batch from what waits; empty if nothing does. Lines whose requests have ended are dropped."""
        found: list[Waiting] = []
        while not found and (heads := [bucket for bucket in self._buckets.values() if bucket]):
            bucket = min(heads, key=lambda one: one[0].number)
            longest = 1
            while bucket and (
                not found or (len(found) + 1) * max(longest, len(bucket[0].tokens)) <= self._batch_tokens
            ):
                job = bucket.popleft()
                self.waiting -= len(job.tokens)
                if not job.answer.done():
                    found.append(job)
                    longest = max(longest, len(job.tokens))
        return found


def _answer(jobs: Sequence[Waiting], done: asyncio.Future[list[Any]]) -> None:
    """Gives each line of a batch its answer, or the error of its batch."""
    error = done.exception()
    for number, job in enumerate(jobs):
        if job.answer.done():  # its request has ended meanwhile
            continue
        if error:
            job.answer.set_exception(error)
        else:
            job.answer.set_result(done.result()[number])
