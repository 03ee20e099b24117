"""A bounded load of file uploads, and what came back for each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to label; ``url`` is the whole predictions URL of one producer."""

    url: str
    content: bytes
    wait_seconds: int = 10
    is_traced: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What one upload got. ``stages`` are milliseconds by Server-Timing's names."""

    prediction_id: str
    status: int
    body: dict[str, Any]
    elapsed_ms: float
    stages: dict[str, float]


def parse_server_timing(header: str) -> dict[str, float]:
    """``read;dur=1.2, predict;dur=3`` as a mapping; entries without a duration are left out."""
    stages: dict[str, float] = {}
    for entry in header.split(","):
        name, _, parameters = entry.strip().partition(";")
        for parameter in parameters.split(";"):
            key, _, value = parameter.strip().partition("=")
            if key == "dur":
                stages[name] = float(value)
    return stages


async def label(session: aiohttp.ClientSession, upload: Upload) -> Answer:
    """Send one file and wait for its labels."""
    prediction_id = str(uuid4())
    headers = {
        "Content-Type": "text/csv",
        "Prediction-Id": prediction_id,
        "Prefer": f"wait={upload.wait_seconds}",
        "traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-{'01' if upload.is_traced else '00'}",
    }
    started = time.perf_counter()
    async with session.post(upload.url, data=upload.content, headers=headers) as response:
        content = await response.read()
        elapsed_ms = (time.perf_counter() - started) * 1000
        return Answer(
            prediction_id=prediction_id,
            status=response.status,
            body=msgspec.json.decode(content),
            elapsed_ms=elapsed_ms,
            stages=parse_server_timing(response.headers.get("Server-Timing", "")),
        )


async def drive(uploads: Sequence[Upload], *, in_flight: int) -> list[Answer]:
    """Send every upload, at most ``in_flight`` at once; answers in the uploads' order."""
    gate = asyncio.Semaphore(in_flight)
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def one(upload: Upload) -> Answer:
            async with gate:
                return await label(session, upload)

        return await asyncio.gather(*(one(upload) for upload in uploads))
