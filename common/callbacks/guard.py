"""Which callback URLs may be called: the caller chooses them, and our network must not pay for it.

The producer asks when a callback is registered, the callback service again at every delivery, and
there of every address that the host's name leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import NoReturn, Self
from urllib.parse import urlsplit

from yarl import URL

from common.callbacks.addresses import (
    IPAddress,
    IPNetwork,
    Standing,
    standing_of,
    unwrapped,
)
from common.errors import PermanentError

REFUSED = "callback-refused"
LONGEST_URL = 2048
PORTS = (443, 8443)
"""Where a public receiver may listen: HTTPS, and no other service that would read our bytes."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa", "onion", "invalid")
_SPEAKABLE = re.compile(r"[^\s\x00-\x20\x7f\\^`{|}<>\"]+")
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
    r"(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class CallbackRefused(PermanentError):  # noqa: N818 - names the condition
    """This URL is not called. The message names the rule, and nothing of the URL."""

    def __init__(self, message: str) -> None:
        super().__init__(REFUSED, message)


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """What the operator allows beyond the public internet.

    ``hosts`` are names, in lower case; ``networks`` are addresses. A receiver that one of them
    names may be private, speak plain HTTP and listen on any port.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Read names, addresses and networks in CIDR form.

        Raises:
            ValueError: an entry is none of them.
        """
        hosts = set()
        networks = []
        for entry in (each.strip().lower() for each in entries):
            try:
                networks.append(ip_network(entry))
            except ValueError:
                is_name = _NAME.fullmatch(entry) and not _ends_in_number(entry)
                if not is_name:
                    raise ValueError(
                        f"{entry!r} is not a host name, an address or a network; "
                        "expected for example: hooks.example.com, 10.1.2.3, 10.0.0.0/8"
                    ) from None
                hosts.add(entry)
        return cls(frozenset(hosts), tuple(networks))

    def allows(self, host: str) -> bool:
        """Whether the operator named this very host: a name, or an address of an allowed network.

        ``host`` is as in a checked URL: lower case, ASCII, an IPv6 address without brackets.
        """
        address = _address(host)
        return host in self.hosts if address is None else self._contains(address)

    def check_address(self, address: IPAddress, host: str) -> None:
        """Refuse an address that must not be called for the sake of ``host``.

        Raises:
            CallbackRefused: it is no public address, and the operator allowed neither.
        """
        standing = standing_of(address)
        if standing is Standing.FORBIDDEN:
            _refuse(
                "The callback's host leads to an address that no receiver can have (link-local, "
                "metadata, multicast, reserved or unspecified). Give the receiver's own address."
            )
        is_allowed = host in self.hosts or self._contains(address)
        if standing is Standing.PRIVATE and not is_allowed:
            _refuse(
                "The callback's host leads to a private address. Give one that the internet "
                "can reach, or have the operator add it to CARIMBO_CALLBACK_ALLOW."
            )

    def _contains(self, address: IPAddress) -> bool:
        found = unwrapped(address)
        return any(found in network for network in self.networks)


def check_callback_url(url: str, policy: CallbackPolicy) -> URL:
    """Judge a URL by itself, without looking its name up; give the URL as it will be called.

    Raises:
        CallbackRefused: it must not be called.
    """
    parsed = _parsed(url)
    host = parsed.raw_host or ""
    _check_host(host, policy)
    _check_scheme_and_port(parsed, is_allowed=policy.allows(host))
    return parsed


def _parsed(url: str) -> URL:
    """The one reading of the URL; whatever two readers could understand differently is refused."""
    if len(url) > LONGEST_URL:
        _refuse(f"The callback URL has {len(url)} characters; at most {LONGEST_URL} are taken.")
    if _SPEAKABLE.fullmatch(url) is None:
        _refuse("The callback URL has a space, a control character or one that needs escaping.")
    try:
        parsed = URL(url)
        other = urlsplit(str(parsed))
        port = other.port if other.port is not None else _DEFAULT_PORTS.get(other.scheme)
        is_plain = (other.hostname, port) == (parsed.raw_host, parsed.port)
    except ValueError:
        _refuse("The callback URL cannot be read. Expected: https://host/path")
    if not is_plain or not parsed.raw_host:
        _refuse("The callback URL has no clear host. Expected: https://host/path")
    if "@" in (parsed.raw_authority or ""):
        _refuse("The callback URL has a user or a password; the signature is what proves us.")
    if "#" in url:
        _refuse("The callback URL has a fragment, which no server ever receives; leave it out.")
    return parsed


def _check_host(host: str, policy: CallbackPolicy) -> None:
    address = _address(host)
    if address is not None:
        policy.check_address(address, host)
        return
    if _NAME.fullmatch(host) is None:
        _refuse("The callback's host is neither a name nor an address without a zone.")
    if _ends_in_number(host):
        _refuse("The callback's host is a number. Write an IPv4 address as four decimals.")
    is_local = "." not in host or any(f".{host}".endswith(f".{name}") for name in _LOCAL_NAMES)
    if is_local and host not in policy.hosts:
        _refuse(
            "The callback's host is a name of a private network. Give one of the public DNS, or "
            "have the operator add it to CARIMBO_CALLBACK_ALLOW."
        )


def _check_scheme_and_port(url: URL, *, is_allowed: bool) -> None:
    if url.scheme != "https" and not (url.scheme == "http" and is_allowed):
        _refuse("The callback URL must begin with https://, so that nobody reads along.")
    if url.port not in PORTS and not (is_allowed and url.port):
        known = " and ".join(map(str, PORTS))
        _refuse(f"The callback URL names a port that is not called; {known} are.")


def _ends_in_number(host: str) -> bool:
    """Whether a resolver could take the host for an address: ``127.1``, ``2130706433``, ``0x7f``.

    The C library reads such names as addresses although they are none in a URL.
    """
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _address(host: str) -> IPAddress | None:
    with suppress(ValueError):
        found = ip_address(host)
        if isinstance(found, IPv4Address):
            return found
        return found if found.scope_id is None else None
    return None


def _refuse(message: str) -> NoReturn:
    raise CallbackRefused(message)
