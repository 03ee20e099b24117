from __future__ import annotations

import asyncio

import pytest

from common.sqs import Slots


async def test_gives_what_is_free_up_to_what_is_asked() -> None:
    slots = Slots(15)
    assert await slots.reserve(10) == 10
    assert await slots.reserve(10) == 5
    assert slots.free == 0


async def test_a_reservation_waits_for_the_first_slot_given_back() -> None:
    slots = Slots(2)
    await slots.reserve(2)
    waiting = asyncio.ensure_future(slots.reserve(10))
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.give_back(1)
    assert await waiting == 1


async def test_waiters_are_served_in_turn_and_newcomers_after_them() -> None:
    slots = Slots(1)
    await slots.reserve(1)
    served: list[str] = []

    async def take(name: str) -> None:
        await slots.reserve(1)
        served.append(name)
        slots.give_back(1)

    first = asyncio.ensure_future(take("first"))
    second = asyncio.ensure_future(take("second"))
    await asyncio.sleep(0)
    slots.give_back(1)
    newcomer = asyncio.ensure_future(take("newcomer"))
    await asyncio.gather(first, second, newcomer)
    assert served == ["first", "second", "newcomer"]
    assert slots.free == 1


async def test_a_waiter_that_leaves_hands_its_turn_on() -> None:
    slots = Slots(1)
    await slots.reserve(1)
    leaving = asyncio.ensure_future(slots.reserve(1))
    staying = asyncio.ensure_future(slots.reserve(1))
    await asyncio.sleep(0)
    slots.give_back(1)
    leaving.cancel()
    assert await staying == 1
    assert slots.free == 0


async def test_an_empty_queue_holds_one_slot_and_a_busy_one_its_share() -> None:
    slots = Slots(8)
    slots.join()
    assert slots.share(was_empty=True) == 8
    slots.join()
    assert slots.share(was_empty=True) == 1
    assert slots.share(was_empty=False) == 4
    slots.leave()
    assert slots.share(was_empty=True) == 8


async def test_refuses_more_pumps_than_slots() -> None:
    slots = Slots(1)
    slots.join()
    with pytest.raises(ValueError, match="at least one slot a queue"):
        slots.join()
    with pytest.raises(ValueError, match="at least one slot"):
        Slots(0)


async def test_a_receive_waits_until_there_is_room_for_more_than_one_message() -> None:
    slots = Slots(20)
    least = slots.worthwhile(10)
    assert least == 5
    await slots.reserve(20)
    waiting = asyncio.ensure_future(slots.reserve(10, least=least))
    for _ in range(4):
        slots.give_back(1)
        await asyncio.sleep(0)
    assert not waiting.done()
    slots.give_back(1)
    assert await waiting == 5


def test_a_process_of_few_slots_receives_for_each_of_them() -> None:
    assert Slots(1).worthwhile(10) == 1
    assert Slots(3).worthwhile(3) == 1
