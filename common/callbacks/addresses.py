"""Which addresses may be called: a verdict on one IP address, from what the registries say of it.

Written as an explicit list, because what Python's ``is_private`` and ``is_global`` mean has changed
between patch releases. For IPv6 only 2000::/3 is given out to the public, so everything else is
refused without being named.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class Standing(Enum):
    """What may be done with an address."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Only when the operator allowed its host or its network."""
    FORBIDDEN = "forbidden"
    """Never: nothing that lives there is a callback receiver."""


def _networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(text) for text in texts)


_PRIVATE = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",  # carriers' own; EKS gives it to pods
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
_FORBIDDEN = _networks(
    "0.0.0.0/8",
    "100.100.100.200/32",  # Alibaba's metadata service
    "168.63.129.16/32",  # Azure's platform channel, on a public-looking address
    "169.254.0.0/16",  # link-local: the metadata service of most clouds
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",  # protocol assignments, Teredo and benchmarks among them
    "2001:db8::/32",
    "2002::/16",  # 6to4: an IPv4 address of anybody's choice
    "3fff::/20",
    "fd00:ec2::/32",  # AWS's metadata, DNS and time over IPv6
    "fd20:ce::254/128",  # Google's metadata service over IPv6
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x5EFE, 0x0200_5EFE)
_LOW_32_BITS = 0xFFFF_FFFF


def standing_of(address: IPAddress) -> Standing:
    """Judge an address; one that carries an IPv4 address is judged by what it carries."""
    carried = _carried(address)
    if carried is not None:
        return standing_of(carried)
    if _is_in(address, _FORBIDDEN):
        return Standing.FORBIDDEN
    if _is_in(address, _PRIVATE):
        return Standing.PRIVATE
    if isinstance(address, IPv6Address) and not _is_public_v6(address):
        return Standing.FORBIDDEN
    return Standing.PUBLIC


def unwrapped(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    return _carried(address) or address


def _carried(address: IPAddress) -> IPv4Address | None:
    """IPv4 that is reached through IPv6: mapped by the host, or translated by the network."""
    if not isinstance(address, IPv6Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & _LOW_32_BITS) if address in _NAT64 else None


def _is_public_v6(address: IPv6Address) -> bool:
    interface = (int(address) >> 32) & _LOW_32_BITS
    return address in _GLOBAL_UNICAST and interface not in _ISATAP


def _is_in(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    return any(address in network for network in networks)
