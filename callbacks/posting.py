"""One call of a receiver: look the name up once, check every address, connect to no other.

The name is never looked up again between the check and the connection, so a name server that
answers differently the second time gains nothing. The receiver's TLS name and Host header stay the
name's. No redirect is followed, no proxy of the environment used, no cookie kept, no body read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from callbacks.names import Lookup
from callbacks.schedule import ADDRESS_REFUSED, URL_REFUSED
from common.callbacks import CallbackPolicy, CallbackRefused, check_callback_url
from common.callbacks.addresses import IPAddress

TIMEOUT_SECONDS = 15.0
"""Of a whole attempt: the look-up, the connection, the request and the answer's headers."""

ADDRESSES_TRIED = 4
"""All are checked; more than these would only let a name make one attempt many."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call went: the receiver's ``status``, or why there is none. ``ms`` is milliseconds."""

    ms: int
    status: int | None = None
    error: str | None = None


class Poster:
    """Calls receivers. ``tls`` says whom to trust; ``look_up`` gives a name's addresses."""

    def __init__(
        self,
        policy: CallbackPolicy,
        look_up: Lookup,
        tls: ssl.SSLContext,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._policy = policy
        self._look_up = look_up
        self._tls = tls
        self._timeout_seconds = timeout_seconds

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Send ``body`` and say how it went; never raises for what a receiver does."""
        began = time.monotonic()
        status, error = None, None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await self._call(url, body, headers)
        except CallbackRefused:
            error = URL_REFUSED
        except _Failure as failure:
            error = failure.code
        except TimeoutError:
            error = "timeout"
        except aiohttp.ClientSSLError:
            error = "tls"
        except (aiohttp.ClientConnectorError, OSError):
            error = "not-connected"
        except aiohttp.ClientError:
            error = "not-understood"
        return Outcome(round((time.monotonic() - began) * 1000), status, error)

    async def _call(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        checked = check_callback_url(url, self._policy)
        pinned = _Pinned(checked.raw_host or "", await self._addresses(checked))
        connector = aiohttp.TCPConnector(
            resolver=pinned, use_dns_cache=False, force_close=True, ssl=self._tls
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the caller's covers the look-up too
                trust_env=False,
            ) as session,
            session.post(checked, data=body, headers=headers, allow_redirects=False) as response,
        ):
            response.close()
            return response.status

    async def _addresses(self, url: URL) -> Sequence[IPAddress]:
        """Every address of the host, each of them checked: one that is refused refuses all."""
        host = url.raw_host or ""
        with suppress(ValueError):
            return [ip_address(host)]  # checked with the URL; the connector asks nobody for it
        try:
            addresses = await self._look_up(host, url.port or 0)
        except OSError:
            raise _Failure("not-resolved") from None
        if not addresses:
            raise _Failure("not-resolved")
        try:
            for address in addresses:
                self._policy.check_address(address, host)
        except CallbackRefused:
            raise _Failure(ADDRESS_REFUSED) from None
        return addresses[:ADDRESSES_TRIED]


class _Failure(Exception):  # noqa: N818 - an outcome on its way up
    """No connection was tried."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Pinned(AbstractResolver):
    """Answers one name with the addresses that were checked, and knows no other name."""

    def __init__(self, host: str, addresses: Sequence[IPAddress]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """Give the addresses in the form that the connector wants."""
        if host != self._host:
            raise OSError(f"Only the checked host may be connected to, and {host!r} is not it.")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""
