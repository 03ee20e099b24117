"""After the storm: what must hold exactly as long as nothing is broken.

A law that only saves work when all goes well cannot be seen in a storm, where everything has an
excuse. So it is asked for when there is none: every reply reaches its own producer, and what is
being worked on is given to nobody else.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import aiohttp

from tests.chaos.clients import Account, Clients, End
from tests.chaos.sendings import Kind, Sending, Way, slow_files
from tests.chaos.system import System

CALLS = 60
CALLS_AT_ONCE = 6
SLOW = 6
IDLE_SECONDS = 60.0
_BY_REPLY = re.compile(r'^carimbo_answered_from_total\{source="reply"\} ([0-9.e+]+)$', re.MULTILINE)
_IN_FLIGHT = re.compile(r"^carimbo_consumer_in_flight\{.*\} ([0-9.e+]+)$", re.MULTILINE)
_OUTCOMES = re.compile(r"^carimbo_consumer_outcomes_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Calm:
    """What was sent in the calm, and what the services say that they did."""

    calls: int
    by_reply: int
    slow: int
    slow_deliveries: int


async def watch_the_calm(
    system: System, clients: Clients, seed: int, first: int, accounts: list[Account]
) -> Calm:
    """Send to both producers and wait for the answers; then slow files for the workers."""
    async with aiohttp.ClientSession() as session:
        replies = await _sum(session, system, "producer", _BY_REPLY)
        sent = await _calls(system, clients, seed, first, accounts)
        by_reply = await _sum(session, system, "producer", _BY_REPLY) - replies
        outcomes = await _sum(session, system, "consumer", _OUTCOMES)
        slow = slow_files(seed, first + sent, SLOW)
        await clients.run(slow, accounts)
        await _when_idle(session, system)  # a delivery is counted at its end
        deliveries = await _sum(session, system, "consumer", _OUTCOMES) - outcomes
    return Calm(sent, by_reply, len(slow), deliveries)


async def _calls(
    system: System, clients: Clients, seed: int, first: int, accounts: list[Account]
) -> int:
    """As many to one producer as to the other, each awaited."""
    draw = slow_files(seed, first, CALLS)
    producers = [replica.url for replica in system.of("producer")]
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(number: int, like: Sending) -> None:
        sending = Sending(like.number, Kind.GOOD, Way.OWN_ID, like.name, at=0.0, bits=like.bits)
        account = Account(sending)
        async with places:
            reply = await clients.post(
                sending, sending.name, producer=producers[number % len(producers)]
            )
        if reply is not None and reply.status == 200:
            account.name(reply.prediction_id)
            account.end, account.body = End.AT_ONCE, reply.body
        accounts.append(account)

    await asyncio.gather(*(one(number, like) for number, like in enumerate(draw)))
    return len(draw)


async def _sum(
    session: aiohttp.ClientSession, system: System, service: str, series: re.Pattern[str]
) -> int:
    pages = [await _page(session, replica.url) for replica in system.of(service)]
    return round(sum(float(value) for page in pages for value in series.findall(page)))


async def _when_idle(session: aiohttp.ClientSession, system: System) -> None:
    """Wait until no worker has anything in hand, which is soon unless a law is broken."""
    deadline = asyncio.get_running_loop().time() + IDLE_SECONDS
    while await _sum(session, system, "consumer", _IN_FLIGHT):
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(1.0)


async def _page(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(f"{url}/metrics") as answer:
        return await answer.text()
