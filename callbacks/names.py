"""Names to addresses, in threads of our own: a slow name server must not stop other look-ups."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from common.callbacks.addresses import IPAddress

Lookup = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
"""All addresses of a host. Raises OSError when it has none."""


class SystemNames:
    """The system's own resolver, hosts file included; as many look-ups at once as threads."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="names")

    async def look_up(self, host: str, port: int) -> Sequence[IPAddress]:
        """Give every address, in the system's order of preference.

        Raises:
            OSError: the name has no address, or the name server does not answer.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, _addresses, host, port
        )

    def close(self) -> None:
        """Let the threads end by themselves: a look-up under way cannot be cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str, port: int) -> list[IPAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [ip_address(place[0]) for _, _, _, _, place in found]
