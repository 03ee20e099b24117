"""Takes callbacks as a client does: checks the signature, keeps the first body of every id."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

FAULTY_SHARE = 0.1


@dataclass(slots=True)
class Told:
    """What came under one ``webhook-id``."""

    data: bytes
    times: int = 1


@dataclass(slots=True)
class Receiver:
    """Answers some calls with 500, so that they come again."""

    secret: str
    draw: random.Random
    told: dict[str, dict[str, Told]] = field(default_factory=dict)
    """By prediction id, then by ``webhook-id``."""
    forged: int = 0
    changed: list[str] = field(default_factory=list)
    """Predictions of which one ``webhook-id`` came with two bodies."""
    port: int = 0

    @property
    def url(self) -> str:
        """What to send as callback_url."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def calls(self) -> int:
        """How many were taken, repeats included."""
        return sum(told.times for ids in self.told.values() for told in ids.values())

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        """Listen for as long as the block runs."""
        runner = web.ServerRunner(web.Server(self._take), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            self.forged += 1
            return web.Response(status=401)
        if self.draw.random() < FAULTY_SHARE:
            return web.Response(status=500)
        decoded = msgspec.json.decode(body)
        self._keep(decoded["data"]["id"], headers["webhook-id"], body)
        return web.Response(status=204)

    def _keep(self, prediction_id: str, webhook_id: str, body: bytes) -> None:
        ids = self.told.setdefault(prediction_id, {})
        known = ids.get(webhook_id)
        if known is None:
            ids[webhook_id] = Told(body)
            return
        known.times += 1
        if known.data != body:
            self.changed.append(prediction_id)
