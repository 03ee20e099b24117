"""The clients: each sends its file until it has been promised an answer, then comes for it.

A file is *accepted* once its client holds a 200, a 202, or the terminal failure of its prediction.
Until then, a connection that ends or a refusal is the client's to repeat: under the same id or
key where it chose one, as a new request where it did not.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from tests.chaos.models import FAMILY
from tests.chaos.sendings import Sending, Way

WAIT_SECONDS = 5
POLL_SECONDS = 3
PATIENCE_SECONDS = 300.0
TIMEOUT_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 2.0
MOST_AT_ONCE = 48

OK, TAKEN, FORGOTTEN, LATE, REFUSED = 200, 202, 404, 504, frozenset({429, 503})


class End(StrEnum):
    """How it ended for the client."""

    AT_ONCE = "answered 200"
    LATER = "answered later"
    FAILED = "failed"
    NEVER = "never answered"


@dataclass(slots=True)
class Account:
    """What one client did and was told. ``ids`` are all predictions it was ever told of."""

    sending: Sending
    end: End = End.NEVER
    code: str = ""
    body: bytes = b""
    ids: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    forgotten: int = 0
    odd: list[str] = field(default_factory=list)

    @property
    def is_accepted(self) -> bool:
        """Whether the client was promised anything."""
        return bool(self.ids)

    @property
    def prediction_id(self) -> str:
        """The prediction that the answer is of."""
        return self.ids[-1] if self.ids else ""

    def name(self, prediction_id: str) -> None:
        """Remember the prediction that an answer named."""
        if prediction_id and prediction_id not in self.ids:
            self.ids.append(prediction_id)


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    prediction_id: str
    retry_seconds: float

    @property
    def code(self) -> str:
        """The problem's code; empty when it is none."""
        with suppress(msgspec.DecodeError, AttributeError, TypeError):
            found: Any = msgspec.json.decode(self.body)
            return str(found.get("type", "")).rpartition("/")[2]
        return ""


class Clients:
    """All clients. ``producers`` are addresses; whichever is chosen may be down."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        producers: Sequence[str],
        versions: dict[Any, str],
        callback_url: str,
        draw: random.Random,
    ) -> None:
        self._session = session
        self._producers = producers
        self._versions = versions
        self._callback_url = callback_url
        self._draw = draw
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self, sendings: Sequence[Sending], accounts: list[Account]) -> None:
        """Send everything, each at its time; an account of each is added as it ends."""
        began = asyncio.get_running_loop().time()

        async def one(sending: Sending) -> None:
            await asyncio.sleep(began + sending.at - asyncio.get_running_loop().time())
            account = Account(sending)
            try:
                async with self._places, asyncio.timeout(PATIENCE_SECONDS):
                    await self._deliver(account)
            except TimeoutError:
                pass  # its end says so
            finally:
                accounts.append(account)

        await asyncio.gather(*(one(sending) for sending in sendings))

    async def read(self, prediction_id: str, *, producer: str | None = None) -> Reply | None:
        """GET a prediction; None when the connection ended."""
        where = producer or self._draw.choice(self._producers)
        url = f"{where}/v1/predictions/{prediction_id}"
        return await self._call("GET", url, params={"wait": str(POLL_SECONDS)})

    async def post(
        self, sending: Sending, name: str, *, producer: str | None = None
    ) -> Reply | None:
        """Send a file; None when the connection ended before an answer."""
        where = producer or self._draw.choice(self._producers)
        headers = {"content-type": "text/csv", "prefer": f"wait={WAIT_SECONDS}"}
        params = {"version": self._versions[sending.kind]} if sending.kind != "good" else {}
        if sending.way is Way.KEY:
            headers["idempotency-key"] = name
        elif sending.way is not Way.ANONYMOUS:
            headers["prediction-id"] = name
        if sending.way in (Way.LATER, Way.CALLBACK):
            headers["prefer"] = "respond-async"
        if sending.way is Way.CALLBACK:
            params["callback_url"] = self._callback_url
        url = f"{where}/v1/models/{FAMILY}/predictions"
        return await self._call("POST", url, params=params, headers=headers, data=sending.content())

    async def _deliver(self, account: Account) -> None:
        name = account.sending.name
        while True:
            reply = await self.post(account.sending, name)
            if reply is None:
                account.dropped += 1
                await self._pause(0.5)
                continue
            if reply.status in REFUSED:
                account.refused[f"{reply.status} {reply.code}"] += 1
                await self._pause(reply.retry_seconds)
                continue
            if reply.status == LATE:
                # Nobody reached it in time, for good: the advice is a new id.
                account.expired.append(reply.prediction_id)
                name = str(UUID(int=self._draw.getrandbits(128), version=4))
                continue
            account.name(reply.prediction_id)
            if reply.status == TAKEN:
                await self._come_back(account)
                return
            _close(account, reply, End.AT_ONCE)
            return

    async def _come_back(self, account: Account) -> None:
        while True:
            reply = await self.read(account.prediction_id)
            if reply is None:
                account.dropped += 1
                await self._pause(0.5)
            elif reply.status == FORGOTTEN:
                account.forgotten += 1
                await self._pause(0.5)
            elif reply.status in REFUSED:
                account.refused[f"{reply.status} {reply.code}"] += 1
                await self._pause(reply.retry_seconds)
            elif reply.status != TAKEN:
                _close(account, reply, End.LATER)
                return

    async def _call(self, method: str, url: str, **parts: Any) -> Reply | None:
        try:
            async with self._session.request(method, url, **parts) as answer:
                return Reply(
                    answer.status,
                    await answer.read(),
                    answer.headers.get("prediction-id", ""),
                    float(answer.headers.get("retry-after", "0.5")),
                )
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, LONGEST_PAUSE_SECONDS) * self._draw.uniform(0.5, 1.0))


def client_session() -> aiohttp.ClientSession:
    """A session that holds on to no connection for long: replicas come and go."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2.0),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
    )


def _close(account: Account, reply: Reply, end: End) -> None:
    account.body = reply.body
    if reply.status == OK:
        account.end = end
        return
    account.end, account.code = End.FAILED, reply.code or str(reply.status)
