"""Which hosts and addresses a URL may lead to. Decides only; resolves and connects to nothing."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from yarl import URL

from backend.errors import FetchRefused

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL = 2_048
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z"
)
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+))*\Z")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_PUBLIC: tuple[Network, ...] = (
    ipaddress.ip_network("64:ff9b:1::/48"),  # local-use NAT64, RFC 8215
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    ipaddress.ip_network("192.0.0.0/24"),  # IETF protocol assignments, RFC 6890; Oracle's metadata service is in it
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's platform service, public by number only
    ipaddress.ip_network("::/96"),  # IPv4-compatible, RFC 4291
    ipaddress.ip_network("2002::/16"),  # 6to4, deprecated by RFC 7526: a way to any IPv4 address
    ipaddress.ip_network("2001::/32"),  # Teredo, RFC 4380: likewise
    ipaddress.ip_network("fec0::/10"),  # site-local, RFC 3879
    ipaddress.ip_network("5f00::/16"),  # segment routing, RFC 9602
)
"""What `is_global` lets through in some Python versions, or what is private in fact."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked for: `host` in lower case and ASCII, `address` where the host is one itself."""

    url: str
    host: str
    port: int
    address: Address | None = None


def parse_target(url: str) -> Target:
    """Read a URL, or raise FetchRefused with the reason. Strips the fragment."""
    if len(url) > MAX_URL:
        raise FetchRefused(f"The URL is longer than {MAX_URL} characters.")
    if any(character <= " " or character == "\\" or character == "\x7f" for character in url.strip()):
        raise FetchRefused("The URL holds a space or a control character.")
    try:
        parsed = URL(url.strip())
        host, port = (parsed.raw_host or "").lower().rstrip("."), parsed.port
    except ValueError:
        raise FetchRefused("This is not a valid URL.") from None
    if parsed.scheme not in ("http", "https"):
        raise FetchRefused("Only http and https URLs can be fetched.")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise FetchRefused("The URL holds a user name or password; leave it out.")
    if not host or not port:
        raise FetchRefused("The URL names no host.")
    address = _literal(host)
    if address is None and not _HOST.match(host):
        raise FetchRefused("The URL's host is not a valid name.")
    written = f"[{address}]" if address is not None and address.version == 6 else str(address or host)
    canonical = parsed.with_fragment(None).with_host(written.strip("[]"))
    return Target(str(canonical), written.strip("[]"), port, address)


def _literal(host: str) -> Address | None:
    """Return the address that `host` is, also in the forms that C libraries read: 2130706433, 0177.1, 0x7f.0.0.1."""
    if "%" in host:
        raise FetchRefused("The URL's host is not a valid name.")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not _NUMERIC.match(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        raise FetchRefused("The URL's host is not a valid address.") from None


def is_public(address: Address) -> bool:
    """Whether an address, and every IPv4 address embedded in it, is one on the public internet."""
    embedded = _embedded(address)
    if embedded is not None:
        return is_public(embedded)
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    )


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address inside a mapped or NAT64 address."""
    if address.version == 4:
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts and networks that may be reached though private, each on any port (None) or on one."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[Network, int | None], ...] = ()

    @classmethod
    def parse(cls, entries: Sequence[str]) -> AllowList:
        """Read host names, addresses and CIDR networks, each with an optional `:port` (`[::1]:80` for IPv6)."""
        hosts: set[tuple[str, int | None]] = set()
        networks: list[tuple[Network, int | None]] = []
        for entry in entries:
            name, port = _split_port(entry.strip().lower())
            try:
                networks.append((ipaddress.ip_network(name, strict=False), port))
            except ValueError:
                hosts.add((name.rstrip("."), port))
        return cls(frozenset(hosts), tuple(networks))

    def check(self, target: Target, addresses: Sequence[Address]) -> None:
        """Raise FetchRefused unless every address is public or allowed."""
        if not all(is_public(address) or self._allows(target, address) for address in addresses):
            raise FetchRefused(
                f"{target.host} is a private address, which Footnote does not fetch; upload the file, "
                "or have an administrator add the host to FOOTNOTE_FETCH_ALLOW."
            )

    def _allows(self, target: Target, address: Address) -> bool:
        if (target.host, None) in self.hosts or (target.host, target.port) in self.hosts:
            return True
        plain = _embedded(address) or address
        return any(
            port in (None, target.port) and plain.version == network.version and plain in network
            for network, port in self.networks
        )


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        return name, int(port[1:]) if port[1:].isdigit() else None
    name, colon, port = entry.rpartition(":")
    return (name, int(port)) if colon and port.isdigit() and ":" not in name else (entry, None)
