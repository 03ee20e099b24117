from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from common.errors import CarimboError
from common.sqs import Coalescer, EntryRefused, SqsUnavailable

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


class Line:
    """A destination whose calls stay in flight until the test lets them return."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.is_open = asyncio.Event()
        self.failures: dict[int, list[CarimboError]] = {}

    async def call(self, items: Sequence[int]) -> Sequence[str | CarimboError]:
        self.batches.append(list(items))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self.is_open.wait()
        self.in_flight -= 1
        return [
            self.failures[item].pop(0) if self.failures.get(item) else f"done {item}"
            for item in items
        ]


@pytest.fixture
def line() -> Line:
    return Line()


async def test_sends_at_once_when_idle_without_any_timer(line: Line) -> None:
    coalescer = Coalescer(line.call, max_bytes=100)
    submission = asyncio.ensure_future(coalescer.submit(1, 1))
    for _ in range(4):  # turns of the loop, no time
        await asyncio.sleep(0)
    assert line.batches == [[1]]
    line.is_open.set()
    assert await submission == "done 1"


async def test_gathers_while_a_call_is_in_flight_and_sends_the_rest_together(line: Line) -> None:
    coalescer = Coalescer(line.call, max_bytes=100)
    first = asyncio.ensure_future(coalescer.submit(0, 1))
    for _ in range(4):
        await asyncio.sleep(0)
    rest = [asyncio.ensure_future(coalescer.submit(item, 1)) for item in range(1, 9)]
    for _ in range(4):
        await asyncio.sleep(0)
    assert line.batches == [[0]]
    line.is_open.set()
    assert await asyncio.gather(first, *rest) == [f"done {item}" for item in range(9)]
    assert line.batches == [[0], [1, 2, 3, 4, 5, 6, 7, 8]]


async def test_submissions_of_one_turn_share_a_call(line: Line) -> None:
    line.is_open.set()
    coalescer = Coalescer(line.call, max_bytes=100)
    await asyncio.gather(*(coalescer.submit(item, 1) for item in range(10)))
    assert line.batches == [list(range(10))]


async def test_full_batches_do_not_wait_for_the_call_in_flight_up_to_a_bound(line: Line) -> None:
    coalescer = Coalescer(line.call, max_bytes=1000, max_calls=3)
    submissions = [asyncio.ensure_future(coalescer.submit(item, 1)) for item in range(75)]
    for _ in range(4):
        await asyncio.sleep(0)
    assert [len(batch) for batch in line.batches] == [10, 10, 10]
    line.is_open.set()
    await asyncio.gather(*submissions)
    assert line.most_in_flight == 3
    assert all(len(batch) <= 10 for batch in line.batches)
    assert sorted(item for batch in line.batches for item in batch) == list(range(75))


async def test_no_call_carries_more_than_the_limit_of_bytes(line: Line) -> None:
    line.is_open.set()
    coalescer = Coalescer(line.call, max_bytes=100)
    sizes = [60, 60, 40, 100, 1, 99, 100]
    await asyncio.gather(*(coalescer.submit(item, size) for item, size in enumerate(sizes)))
    assert all(sum(sizes[item] for item in batch) <= 100 for batch in line.batches)
    assert [item for batch in line.batches for item in batch] == list(range(7))


async def test_tries_one_entry_again_when_the_fault_was_the_services(line: Line) -> None:
    line.is_open.set()
    line.failures[1] = [SqsUnavailable("sqs-unavailable", "once"), SqsUnavailable("x", "twice")]
    retries: list[None] = []
    coalescer = Coalescer(line.call, max_bytes=100, on_retry=lambda: retries.append(None))
    outcomes = await asyncio.gather(*(coalescer.submit(item, 1) for item in range(3)))
    assert outcomes == ["done 0", "done 1", "done 2"]
    assert line.batches == [[0, 1, 2], [1], [1]]
    assert len(retries) == 2


async def test_gives_up_on_an_entry_after_a_bounded_number_of_attempts(line: Line) -> None:
    line.is_open.set()
    line.failures[0] = [SqsUnavailable("sqs-unavailable", "again")] * 100
    coalescer = Coalescer(line.call, max_bytes=100)
    with pytest.raises(SqsUnavailable):
        await coalescer.submit(0, 1)
    assert len(line.batches) == 4


async def test_raises_at_once_what_trying_again_cannot_help(line: Line) -> None:
    line.is_open.set()
    line.failures[0] = [EntryRefused("sqs-entry-refused", "no")]
    coalescer = Coalescer(line.call, max_bytes=100)
    outcomes = await asyncio.gather(
        *(coalescer.submit(item, 1) for item in range(2)), return_exceptions=True
    )
    assert isinstance(outcomes[0], EntryRefused)
    assert outcomes[1] == "done 1"
    assert line.batches == [[0, 1]]


async def test_a_call_that_fails_fails_each_of_its_entries_and_no_other() -> None:
    calls: list[list[int]] = []

    async def call(items: Sequence[int]) -> Sequence[str]:
        calls.append(list(items))
        if len(calls) == 1:
            raise SqsUnavailable("sqs-unavailable", "down")
        return ["done"] * len(items)

    coalescer = Coalescer(call, max_bytes=100)
    outcomes = await asyncio.gather(
        coalescer.submit(0, 1), coalescer.submit(1, 1), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [SqsUnavailable, SqsUnavailable]
    assert await coalescer.submit(2, 1) == "done"
    assert calls == [[0, 1], [2]]


async def test_does_not_send_what_was_cancelled_before_it_left(line: Line) -> None:
    coalescer = Coalescer(line.call, max_bytes=100)
    first = asyncio.ensure_future(coalescer.submit(0, 1))
    for _ in range(4):
        await asyncio.sleep(0)
    cancelled = asyncio.ensure_future(coalescer.submit(1, 1))
    kept = asyncio.ensure_future(coalescer.submit(2, 1))
    await asyncio.sleep(0)
    cancelled.cancel()
    line.is_open.set()
    await asyncio.gather(first, kept)
    assert line.batches == [[0], [2]]


async def test_drain_waits_for_entries_that_pause_before_another_attempt(line: Line) -> None:
    line.is_open.set()
    line.failures[0] = [SqsUnavailable("sqs-unavailable", "once")]
    idle: list[None] = []
    coalescer = Coalescer(line.call, max_bytes=100, on_idle=lambda: idle.append(None))
    submission = asyncio.ensure_future(coalescer.submit(0, 1))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await coalescer.drain()
    assert line.batches == [[0], [0]]
    assert await submission == "done 0"
    assert len(idle) == 1


async def some_turns() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_a_gathering_lane_waits_for_what_is_on_its_way_until_a_batch_is_full(
    line: Line,
) -> None:
    line.is_open.set()
    coalescer = Coalescer(line.call, max_bytes=100, gathers=lambda: True, gathering_seconds=0.1)
    submissions = [asyncio.ensure_future(coalescer.submit(item, 1)) for item in range(9)]
    await some_turns()
    assert line.batches == []
    submissions.append(asyncio.ensure_future(coalescer.submit(9, 1)))
    await asyncio.gather(*submissions)
    assert line.batches == [list(range(10))]


async def test_a_gathering_lane_sends_at_once_when_nothing_more_is_on_its_way(line: Line) -> None:
    line.is_open.set()
    more = [True]
    coalescer = Coalescer(
        line.call, max_bytes=100, gathers=lambda: bool(more), gathering_seconds=0.1
    )
    first = asyncio.ensure_future(coalescer.submit(1, 1))
    await some_turns()
    more.clear()
    last = asyncio.ensure_future(coalescer.submit(2, 1))
    await some_turns()
    assert line.batches == [[1, 2]]
    await asyncio.gather(first, last)


async def test_a_gathering_lane_waits_no_longer_than_its_bound(line: Line) -> None:
    line.is_open.set()
    coalescer = Coalescer(line.call, max_bytes=100, gathers=lambda: True, gathering_seconds=0.1)
    assert await coalescer.submit(1, 1) == "done 1"
    assert await coalescer.submit(2, 1) == "done 2"
    assert line.batches == [[1], [2]]


async def test_a_drain_ends_the_gathering(line: Line) -> None:
    line.is_open.set()
    coalescer = Coalescer(line.call, max_bytes=100, gathers=lambda: True, gathering_seconds=0.1)
    submission = asyncio.ensure_future(coalescer.submit(1, 1))
    await some_turns()
    draining = asyncio.ensure_future(coalescer.drain())
    await some_turns()
    assert line.batches == [[1]]
    await draining
    assert await submission == "done 1"
