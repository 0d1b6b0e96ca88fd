"""Each line gets its own answer, whatever it is batched with, and batches keep their limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from threading import Event
from typing import Any

import pytest

from batching import Batcher, FullError, Tokens
from daguan.core.seeds import stream

Work = Callable[[Batcher], Awaitable[Any]]


def answer_of(line: Tokens) -> str:
    return " ".join(reversed(line))


def label(lines: list[Tokens]) -> list[str]:
    return [answer_of(line) for line in lines]


class Gate:
    """Labels once it is opened; until then, what comes waits. Keeps the batches."""

    def __init__(self) -> None:
        self.batches: list[list[Tokens]] = []
        self.begun, self.open = Event(), Event()

    def label(self, lines: list[Tokens]) -> list[str]:
        self.begun.set()
        assert self.open.wait(60)
        self.batches.append(lines)
        if ["bad"] in lines:
            raise ArithmeticError("of this batch")
        return label(lines)

    async def waiting(self, batcher: Batcher, requests: Sequence[list[Tokens]]) -> list[asyncio.Task[Any]]:
        """Sends a first line, and the requests while its batch is at work."""
        first = asyncio.create_task(batcher.answers([["first"]]))
        await asyncio.to_thread(self.begun.wait, 60)
        rest = [asyncio.create_task(batcher.answers(lines)) for lines in requests]
        await asyncio.sleep(0)
        return [first, *rest]


def run(batcher: Callable[[], Batcher], work: Work) -> Any:
    async def inside() -> Any:
        async with batcher() as made:
            return await work(made)

    return asyncio.run(inside())


def lines_of(lengths: Sequence[int]) -> list[Tokens]:
    return [[f"{number}.{place}" for place in range(length)] for number, length in enumerate(lengths)]


def test_every_line_gets_its_own_answer_and_batches_keep_their_limits() -> None:
    rng = stream(1, "batching")
    lines = lines_of(rng.geometric(0.05, 400).tolist())
    cuts = sorted(rng.choice(len(lines), 60, replace=False).tolist())
    requests = [lines[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    seen: list[list[Tokens]] = []

    async def work(batcher: Batcher) -> Any:
        return await asyncio.gather(*(batcher.answers(request) for request in requests))

    found = run(lambda: Batcher(label, batch_tokens=64, seen=lambda batch, seconds: seen.append(batch)), work)
    assert found == [[answer_of(line) for line in request] for request in requests]
    assert sorted(line for batch in seen for line in batch) == sorted(lines)
    for batch in seen:
        lengths = [len(line) for line in batch]
        assert len(batch) == 1 or len(batch) * max(lengths) <= 64
        assert max(lengths) < 2 * min(lengths)
    assert len(seen) < len(lines) / 2


def test_what_comes_during_a_batch_is_the_next_one_and_the_oldest_line_comes_first() -> None:
    gate = Gate()

    async def work(batcher: Batcher) -> None:
        tasks = await gate.waiting(batcher, [[["c"] * 9], [["a"]], [["b"], ["d"] * 8]])
        assert batcher.waiting == 9 + 1 + 1 + 8
        gate.open.set()
        await asyncio.gather(*tasks)
        assert batcher.waiting == 0

    run(lambda: Batcher(gate.label), work)
    assert gate.batches == [[["first"]], [["c"] * 9, ["d"] * 8], [["a"], ["b"]]]


def test_an_error_reaches_the_lines_of_its_batch_alone() -> None:
    gate = Gate()

    async def work(batcher: Batcher) -> list[Any]:
        tasks = await gate.waiting(batcher, [[["good"] * 5], [["bad"]], [["beside"]]])
        gate.open.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, good, bad, beside = run(lambda: Batcher(gate.label), work)
    assert (first, good) == (["first"], [answer_of(["good"] * 5)])
    assert isinstance(bad, ArithmeticError)
    assert isinstance(beside, ArithmeticError)


def test_too_much_is_refused_until_the_rest_is_answered() -> None:
    gate = Gate()

    async def work(batcher: Batcher) -> None:
        tasks = await gate.waiting(batcher, [[["a"] * 30]])  # more than the limit, but nothing else waits
        with pytest.raises(FullError):
            await batcher.answers([["b"]])
        gate.open.set()
        await asyncio.gather(*tasks)
        assert await batcher.answers([["b", "c"]]) == ["c b"]

    run(lambda: Batcher(gate.label, most_waiting=20), work)


def test_lines_of_a_request_that_has_ended_are_not_labelled() -> None:
    gate = Gate()

    async def work(batcher: Batcher) -> None:
        first, gone, still = await gate.waiting(batcher, [[["gone"]], [["still"]]])
        gone.cancel()
        await asyncio.wait([gone])
        gate.open.set()
        assert await asyncio.gather(first, still) == [["first"], ["still"]]

    run(lambda: Batcher(gate.label), work)
    assert gate.batches == [[["first"]], [["still"]]]


def test_at_the_end_what_waits_is_answered() -> None:
    gate = Gate()

    async def inside() -> list[Any]:
        async with Batcher(gate.label) as batcher:
            tasks = await gate.waiting(batcher, [[["a"]], [["b"] * 3]])
            gate.open.set()
        done, _ = await asyncio.wait(tasks, timeout=1)
        return [task.result() for task in tasks if task in done]

    assert asyncio.run(inside()) == [["first"], ["a"], ["b b b"]]
