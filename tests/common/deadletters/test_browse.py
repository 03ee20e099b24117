from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from common.deadletters import ALL, Browse, DeadLetter, browse
from common.sqs import Settler
from tests.common.deadletters.conftest import Cemetery, make_request


def new_pass(cemetery: Cemetery, *, client: Any = None, most_held: int = 1_000) -> Browse:
    return Browse(cemetery.receiver, client or cemetery.sqs, cemetery.dead_url, most_held=most_held)


async def all_of(one_pass: Browse) -> Counter[str]:
    met: Counter[str] = Counter()
    while letters := await one_pass.next_letters():
        met.update(letter.message.message_id for letter in letters)
    return met


async def test_a_pass_meets_each_of_a_thousand_letters_once_and_gives_all_back(
    cemetery: Cemetery,
) -> None:
    await cemetery.bury(*(make_request() for _ in range(1_000)))

    async with new_pass(cemetery) as one_pass:
        met = await all_of(one_pass)

    assert len(met) == met.total() == 1_000
    assert await cemetery.visible(cemetery.dead_url) == 1_000
    assert await cemetery.hidden(cemetery.dead_url) == 0


async def test_a_pass_that_may_hold_no_more_ends_and_says_so(cemetery: Cemetery) -> None:
    await cemetery.bury(*(make_request() for _ in range(25)))

    async with new_pass(cemetery, most_held=10) as one_pass:
        met = await all_of(one_pass)
        is_full = one_pass.is_full

    assert is_full
    assert 10 <= met.total() < 25
    assert await cemetery.visible(cemetery.dead_url) == 25


async def test_a_letter_that_arrives_during_a_cancelled_receive_is_given_back(
    cemetery: Cemetery,
) -> None:
    async with new_pass(cemetery) as one_pass:
        receiving = asyncio.create_task(one_pass.next_letters())
        await asyncio.sleep(0.2)  # the poll must be under way
        receiving.cancel()
        await cemetery.bury(make_request())
        with pytest.raises(asyncio.CancelledError):
            await receiving

    assert len(await cemetery.take(cemetery.dead_url)) == 1


async def test_letters_whose_lease_was_lost_are_not_shown_again(cemetery: Cemetery) -> None:
    await cemetery.bury(*(make_request() for _ in range(5)))
    settler = Settler(cemetery.sqs)

    async with new_pass(cemetery) as one_pass:
        letters = list(await one_pass.next_letters())
        while len(letters) < 5:
            letters += await one_pass.next_letters()
        for letter in letters:
            await settler.release(letter.message, delay_seconds=0)
        assert await one_pass.next_letters() == []
        assert await cemetery.hidden(cemetery.dead_url) == 5

    assert await cemetery.visible(cemetery.dead_url) == 5


async def test_a_queue_that_hides_nothing_ends_after_a_lap(
    cemetery: Cemetery, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cemetery.bury(*(make_request() for _ in range(3)))
    monkeypatch.setattr(browse, "VISIBILITY_SECONDS", 0)

    async with new_pass(cemetery) as one_pass:
        met = await all_of(one_pass)

    assert sorted(met.values()) == [1, 1, 1]


async def test_a_letter_that_outlived_its_deletion_is_deleted_when_it_comes_again(
    cemetery: Cemetery, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ForgetfulOnce:
        forgot = False

        def __getattr__(self, name: str) -> Any:
            return getattr(cemetery.sqs, name)

        async def delete_message_batch(self, **request: Any) -> Any:
            if self.forgot:
                return await cemetery.sqs.delete_message_batch(**request)
            self.forgot = True
            return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    await cemetery.bury(make_request())
    monkeypatch.setattr(browse, "VISIBILITY_SECONDS", 0)

    async with new_pass(cemetery, client=ForgetfulOnce()) as one_pass:
        (letter,) = await one_pass.next_letters()
        await one_pass.delete(letter)
        assert await one_pass.next_letters() == []

    assert await cemetery.take(cemetery.dead_url) == []


async def test_looking_stops_at_its_limit_and_gives_the_rest_back(cemetery: Cemetery) -> None:
    await cemetery.bury(*(make_request() for _ in range(12)))
    shown: list[DeadLetter] = []

    report = await cemetery.office.look(ALL, shown.append, limit=3)

    assert (len(shown), report.done, report.is_cut_short) == (3, 3, True)
    assert await cemetery.visible(cemetery.dead_url) == 12


async def test_what_is_held_is_held_without_its_content(cemetery: Cemetery) -> None:
    await cemetery.bury(make_request())

    async with new_pass(cemetery) as one_pass:
        await one_pass.next_letters()
        (held,) = one_pass._held.values()

    assert (held.body, held.headers) == (b"", {})
