"""URL → bytes over http(s), without becoming a way into the private network (SSRF).

Every host is resolved here, every address it resolves to must be public or allow-listed, and the connection goes to
those very addresses: nothing is looked up again between the check and the connection (DNS rebinding). Redirects are
followed by hand, each checked anew. `addresses.py` holds the decision, this module the I/O.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import zlib
from collections.abc import Mapping, Sequence
from email.message import Message
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from backend.domain import Snapshot
from backend.errors import FetchFailed, FetchRefused, TooLarge
from backend.ingest.addresses import Address, AllowList, Target, parse_target
from backend.ports import Fetched

USER_AGENT = "Footnote/0.1 (document ingestion)"
MAX_REDIRECTS = 5
MAX_VALIDATOR = 500
"""Characters of an ETag or a date that a server may have us remember."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 * 1024
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "text/html,application/xhtml+xml,text/markdown,text/plain,application/pdf,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",
}
_LOGIN_HOST = re.compile(r"^(?:login|signin|sso|accounts?|auth|idp|id)\.", re.I)
_LOGIN_PATH = re.compile(
    r"/(?:users?/|account/|accounts/|auth/)?(?:log[-_]?in|sign[-_]?in|sso|oauth2?|saml2?)(?:[/._?]|$)", re.I
)
_NEEDS_LOGIN = "{host} needs a login to show this page; share it publicly or upload the file instead."


class Resolve(Protocol):
    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Return every address of `host`. OSError where it has none."""


async def resolve_host(host: str, port: int) -> list[Address]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]


class HttpFetcher:
    """A `Fetcher` over aiohttp; open it with `async with`.

    `allow` names hosts, addresses or networks (`wiki.local`, `10.0.0.5:8080`, `10.1.0.0/16`) that may be reached though
    they are private. `max_bytes` bounds the document, decompressed; `timeout` is for the whole fetch, in seconds.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        max_bytes: int = 50_000_000,
        timeout: float = 30.0,
        resolve: Resolve = resolve_host,
    ) -> None:
        self._allow = AllowList.parse(allow)
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._resolve = resolve
        self._pins = _PinnedResolver()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=self._pins, use_dns_cache=False, force_close=True, limit=32),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
        """Fetch `url`; see `ports.Fetcher`. FetchFailed carries `retry` where a later attempt may succeed."""
        if self._session is None:
            raise RuntimeError("open the fetcher with `async with` first")
        target = parse_target(url)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(self._session, target, _conditions(known))
        except TimeoutError:
            raise FetchFailed(f"{target.host} did not answer within {self._timeout:g} seconds.", retry=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchFailed(f"{target.host} could not be reached ({_why(error)}).", retry=True) from error

    async def _follow(self, session: aiohttp.ClientSession, target: Target, conditions: Mapping[str, str]) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            self._pins.pin(target, await self._vetted(target))
            async with session.get(target.url, allow_redirects=False, headers=conditions) as response:
                if response.status == 304 and conditions:
                    return Fetched(b"", target.url, "", unchanged=True)
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    return await self._document(response, target)
                target = _redirected(target, location)
        raise FetchRefused(f"The URL redirects more than {MAX_REDIRECTS} times.")

    async def _vetted(self, target: Target) -> list[Address]:
        """Resolve the host, and refuse it if any of its addresses is one that we do not reach."""
        if target.address is not None:
            addresses: Sequence[Address] = [target.address]
        else:
            try:
                addresses = await self._resolve(target.host, target.port)
            except (OSError, UnicodeError):
                raise FetchFailed(f"The host {target.host} is not known; check the URL.", retry=True) from None
        if not addresses:
            raise FetchFailed(f"The host {target.host} is not known; check the URL.", retry=True)
        self._allow.check(target, addresses)
        return list(addresses)

    async def _document(self, response: aiohttp.ClientResponse, target: Target) -> Fetched:
        _check_status(response.status, target.host)
        if (response.content_length or 0) > self._max_bytes:
            raise _too_large(self._max_bytes)
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        body = bytearray()
        inflate = _Inflater(encoding, self._max_bytes)
        async for piece in response.content.iter_chunked(_CHUNK):
            body += inflate.feed(piece)
        inflate.check_whole()
        said = response.headers
        return Fetched(
            bytes(body),
            target.url,
            said.get("Content-Type", ""),
            _file_name(response, target),
            etag=_validator(said.get("ETag", "")),
            last_modified=_validator(said.get("Last-Modified", "")),
        )


class _PinnedResolver(AbstractResolver):
    """Answers aiohttp with the addresses that were vetted, and knows no others."""

    def __init__(self) -> None:
        self._vetted: dict[tuple[str, int], list[Address]] = {}

    def pin(self, target: Target, addresses: list[Address]) -> None:
        """Let the next connections to the target's host and port go to `addresses` only."""
        if len(self._vetted) > 1_000:
            self._vetted.clear()
        self._vetted[(target.host, target.port)] = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        addresses = self._vetted.get((host.lower().rstrip("."), port))
        if not addresses:
            raise OSError(f"no vetted address for port {port}")
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        self._vetted.clear()


def _result(host: str, port: int, address: Address) -> ResolveResult:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return ResolveResult(
        hostname=host, host=str(address), port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )


class _Inflater:
    """Undoes `Content-Encoding` piece by piece and stops at `limit` bytes, so that a small body cannot swell."""

    def __init__(self, encoding: str, limit: int) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise FetchFailed(f"The server answered in an encoding that is not supported ({encoding[:20]}).")
        self._zlib = None if encoding in ("", "identity") else zlib.decompressobj(wbits=47)
        self._deflate = encoding == "deflate"
        self._limit = limit
        self._left = limit

    def feed(self, piece: bytes) -> bytes:
        """Return what `piece` decodes to. TooLarge once more than the limit has come out."""
        out = piece if self._zlib is None else self._inflate(piece)
        self._left -= len(out)
        if self._left < 0:
            raise _too_large(self._limit)
        return out

    def _inflate(self, piece: bytes) -> bytes:
        assert self._zlib is not None
        try:
            return self._zlib.decompress(piece, self._left + 1)
        except zlib.error:
            if not self._deflate:
                raise FetchFailed("The server sent a damaged compressed body.", retry=True) from None
        self._deflate = False  # some servers send raw deflate without its zlib header
        self._zlib = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        return self._inflate(piece)

    def check_whole(self) -> None:
        """Raise FetchFailed if the body ended in the middle."""
        if self._zlib is not None and self._left < self._limit and not self._zlib.eof:
            raise FetchFailed("The server sent only a part of the document.", retry=True)


def _conditions(known: Snapshot | None) -> dict[str, str]:
    """Return the headers that ask for the document only if it has changed."""
    if known is None:
        return {}
    stated = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in stated.items() if value}


def _validator(value: str) -> str:
    """Return what a server calls its document's state, "" for what could not be sent back as it is."""
    return value if len(value) <= MAX_VALIDATOR and value.isascii() and value.isprintable() else ""


def _redirected(target: Target, location: str) -> Target:
    following = parse_target(urljoin(target.url, location))
    if _is_login(following) and not _is_login(target):
        raise FetchFailed(_NEEDS_LOGIN.format(host=target.host))
    return following


def _is_login(target: Target) -> bool:
    return bool(_LOGIN_HOST.match(target.host) or _LOGIN_PATH.search(urlsplit(target.url).path))


def _check_status(status: int, host: str) -> None:
    """Raise what an HTTP status means for the person who gave the URL."""
    if status in (401, 403, 407):
        raise FetchFailed(_NEEDS_LOGIN.format(host=host))
    if status in (404, 410):
        raise FetchFailed(f"{host} has no such page (HTTP {status}); check the URL.", gone=True)
    if status in (408, 425, 429) or status >= 500:
        raise FetchFailed(f"{host} is busy or broken at the moment (HTTP {status}).", retry=True)
    if not 200 <= status < 300:
        raise FetchFailed(f"{host} answered HTTP {status} instead of the document.")
    if status in (204, 205):
        raise FetchFailed(f"{host} answered with an empty document.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The document is larger than {limit / 1_000_000:g} MB.")


def _file_name(response: aiohttp.ClientResponse, target: Target) -> str:
    """Return the name that the server states, else the last part of the path."""
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    stated = header.get_filename() or unquote(urlsplit(target.url).path)
    return stated.replace("\\", "/").rsplit("/", 1)[-1][:255]


def _why(error: Exception) -> str:
    """Name a connection error without the addresses and paths that its own text may hold."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its TLS certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | ConnectionResetError):
        return "the connection broke off"
    return "a network error"
