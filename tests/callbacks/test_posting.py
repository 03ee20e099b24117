from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest

from callbacks.posting import Poster
from common.callbacks import CallbackPolicy, guard
from common.callbacks.addresses import IPAddress
from tests.callbacks.certificates import Authority
from tests.callbacks.receivers import Receiver, Sentinel
from tests.common.callbacks.test_guard import HOSTILE

PUBLIC = "127.0.0.2"
"""Plays a public address: the policy of these tests lets it be called."""


@dataclass
class NameServer:
    """Gives another answer each time it is asked; the last one for ever."""

    answers: list[Sequence[str]]
    asked: list[str] = field(default_factory=list)

    async def look_up(self, host: str, port: int) -> Sequence[IPAddress]:
        assert port
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError("no such name")
        return [ip_address(address) for address in answer]


@pytest.fixture
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports below 1024 are not ours to listen on, and a name in the allow-list may go anywhere."""
    monkeypatch.setattr(guard, "PORTS", range(1, 65_536))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the posters of these tests trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def sentinel_on(port: int) -> AsyncIterator[Sentinel]:
    """A sentinel on loopback, on the very port that a public address is called on."""
    async with Sentinel().listening(port=port) as sentinel:
        yield sentinel


def poster(
    names: NameServer,
    *,
    allow: Sequence[str] = (PUBLIC,),
    tls: ssl.SSLContext | None = None,
    timeout_seconds: float = 5,
) -> Poster:
    return Poster(
        CallbackPolicy.parse(allow),
        names.look_up,
        tls or ssl.create_default_context(),
        timeout_seconds,
    )


@pytest.mark.parametrize("url", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_url_makes_no_look_up_and_no_connection(url: str) -> None:
    names = NameServer([["127.0.0.1"]])
    async with Sentinel().listening() as sentinel:
        outcome = await poster(names).post(url, b"{}", {})

    assert outcome.error == "url-refused"
    assert names.asked == []
    assert sentinel.connections == 0


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0", "localhost"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_spelling_of_loopback_reaches_the_sentinel(host: str, scheme: str) -> None:
    names = NameServer([["127.0.0.1"]])
    async with Sentinel().listening() as sentinel:
        outcome = await poster(names).post(f"{scheme}://{host}:{sentinel.port}/", b"{}", {})

    assert outcome.error == "url-refused"
    assert sentinel.connections == 0


@pytest.mark.usefixtures("any_port")
async def test_a_name_that_is_public_first_and_loopback_then_never_reaches_loopback(
    authority: Authority,
) -> None:
    """A rebinding server: what was checked is what is connected to, at every attempt."""
    names = NameServer([[PUBLIC], ["127.0.0.1"]])
    tls = authority.server("hooks.example.com")
    public = Receiver()
    async with public.serving(address=PUBLIC, tls=tls), sentinel_on(public.port) as sentinel:
        calls = poster(names, tls=authority.client())
        url = f"https://hooks.example.com:{public.port}/"
        first = await calls.post(url, b"{}", {})
        second = await calls.post(url, b"{}", {})

    assert first.status == 204
    assert second.error == "address-refused"
    assert len(names.asked) == 2
    assert sentinel.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC] * 10 + ["10.0.0.1"],
        [PUBLIC, "::1"],
        [PUBLIC, "::ffff:127.0.0.1"],
        [PUBLIC, "fe80::1%1"],
        [PUBLIC, "64:ff9b::7f00:1"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["0.0.0.0"],
    ],
)
@pytest.mark.usefixtures("any_port")
async def test_one_bad_address_of_a_name_refuses_the_name(
    answer: Sequence[str],
) -> None:
    public = Receiver()
    async with public.serving(address=PUBLIC), sentinel_on(public.port) as sentinel:
        calls = poster(NameServer([answer]))
        outcome = await calls.post(f"https://hooks.example.com:{public.port}/", b"{}", {})

    assert outcome.error == "address-refused"
    assert public.calls == []
    assert sentinel.connections == 0


async def test_the_receiver_sees_its_own_name_although_an_address_is_connected_to(
    authority: Authority,
) -> None:
    seen: list[str | None] = []
    server = authority.server("hooks.example.com")
    server.sni_callback = lambda _socket, name, _context: seen.append(name)
    receiver = Receiver()
    async with receiver.serving(tls=server):
        calls = poster(
            NameServer([["127.0.0.1"]]), allow=["hooks.example.com"], tls=authority.client()
        )
        url = f"https://hooks.example.com:{receiver.port}/hook?a=1"
        outcome = await calls.post(url, b"{}", {})

    assert outcome.status == 204
    assert seen == ["hooks.example.com"]
    assert receiver.calls[0].headers["host"] == f"hooks.example.com:{receiver.port}"
    assert receiver.calls[0].path == "/hook?a=1"


async def test_a_certificate_of_another_name_is_refused(authority: Authority) -> None:
    receiver = Receiver()
    async with receiver.serving(tls=authority.server("other.example.com")):
        calls = poster(
            NameServer([["127.0.0.1"]]), allow=["hooks.example.com"], tls=authority.client()
        )
        outcome = await calls.post(f"https://hooks.example.com:{receiver.port}/", b"{}", {})

    assert outcome.error == "tls"
    assert receiver.calls == []


async def test_a_receiver_that_does_not_answer_times_out() -> None:
    receiver = Receiver()
    async with receiver.serving(address=PUBLIC):
        receiver.hold()
        calls = poster(NameServer([[]]), timeout_seconds=0.2)
        outcome = await calls.post(f"http://{PUBLIC}:{receiver.port}/", b"{}", {})

    assert outcome.error == "timeout"
    assert outcome.ms >= 200


async def test_a_name_server_that_does_not_answer_times_out() -> None:
    async def never(_host: str, _port: int) -> Sequence[IPAddress]:
        await asyncio.Event().wait()
        return []

    calls = Poster(CallbackPolicy(), never, ssl.create_default_context(), 0.1)

    assert (await calls.post("https://example.com/", b"{}", {})).error == "timeout"


async def test_a_name_without_an_address_is_said_to_be_so() -> None:
    outcome = await poster(NameServer([[]])).post("https://example.com/", b"{}", {})

    assert outcome.error == "not-resolved"


async def test_what_is_no_http_is_said_to_be_so() -> None:
    async with Sentinel().listening(PUBLIC) as silent:
        url = f"http://{PUBLIC}:{silent.port}/"
        outcome = await poster(NameServer([[]])).post(url, b"{}", {})

    assert silent.connections
    assert outcome.error in {"not-understood", "not-connected"}


async def test_an_endless_answer_is_not_read() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
                sent += 0x10000
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(flood, PUBLIC, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await poster(NameServer([[]])).post(f"http://{PUBLIC}:{port}/", b"{}", {})
        server.close()

    assert outcome.status == 200
    assert sent < 64 * 1024 * 1024


async def test_neither_a_proxy_nor_a_password_file_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {PUBLIC} login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    receiver = Receiver()
    async with receiver.serving(address=PUBLIC), Sentinel().listening() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        url = f"http://{PUBLIC}:{receiver.port}/"
        outcome = await poster(NameServer([[]])).post(url, b"{}", {})

    assert outcome.status == 204
    assert proxy.connections == 0
    assert "authorization" not in receiver.calls[0].headers
