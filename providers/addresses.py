"""Which addresses a vendor's link may lead to: public ones only."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

import httpx

_LAST_PORT = 65535
#: characters; what a name may have in the DNS
_LONGEST_HOST = 253

#: the addresses, as text, of a host name and a port
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_IPv4 = ipaddress.IPv4Address
_IPv6 = ipaddress.IPv6Address

#: public by their registration, and yet answered by a machine's own surroundings
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # the host of Azure's machines
        "192.0.0.0/24",  # protocol assignments; metadata of Oracle's machines
        "192.88.99.0/24",  # relays of 6to4, given up
        "64:ff9b:1::/48",  # local translation to IPv4
        "2001::/23",  # protocol assignments, Teredo among them
    )
)
#: the last 32 bits are an IPv4 address, which a translator talks to
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def url_of(text: str, *, base: httpx.URL | None = None) -> httpx.URL | None:
    """Read an address, or (with ``base``) where a redirect leads to; None for what can't be gone to.

    httpx takes a host that is no name in any alphabet, and any number as a port, and fails over them later.
    """
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        # the host is decoded when it is asked for
        can_be = len(url.host) <= _LONGEST_HOST and (url.port is None or 0 < url.port <= _LAST_PORT)
    except (httpx.InvalidURL, ValueError):
        return None
    return url if can_be else None


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system. A host that is an address already gives that one.

    Raises:
        OSError: the name isn't known, or nobody could be asked.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, also where it is an IPv4 one inside an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    inner = _inner(parsed) if isinstance(parsed, _IPv6) else None
    if inner is not None:
        return is_public(str(inner))
    if any(parsed in network for network in _NOT_PUBLIC):
        return False
    is_special = parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified
    return parsed.is_global and not is_special and not getattr(parsed, "is_site_local", False)


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a packet to this one would reach in the end."""
    if address in _TRANSLATED:
        return _IPv4(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
