"""Which URLs are fetched, and what comes of those that are not as they should be."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from backend.errors import FetchFailed, FetchRefused, FootnoteError, TooLarge
from backend.ingest.addresses import Address, AllowList, is_public, parse_target
from backend.ingest.fetch import HttpFetcher

DNS = {
    "example.com": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "wiki.corp": ["10.1.2.3"],
    "half.example": ["93.184.215.14", "127.0.0.1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "xn--bcher-kva.example": ["93.184.215.14"],
    "localhost": ["127.0.0.1"],
}
ALLOW = ("wiki.corp", "10.9.0.0/16", "192.168.7.7:8080", "[fd00::5]:443", "app.local:3000")

REFUSED = """
ftp://example.com/a
file:///etc/passwd
gopher://example.com/
javascript:alert(1)
data:text/html,hi
//example.com/
example.com
http://
http:///path
http://user@example.com/
http://user:pw@example.com/
http://example.com@127.0.0.1/
http://example.com:99999/
http://exa mple.com/
http://example.com\\@127.0.0.1/
http://127.0.0.1/
http://127.1/
http://2130706433/
http://0177.0.0.1/
http://0x7f.0.0.1/
http://0x7f000001/
http://017700000001/
http://127.0.0.1./
http://0/
http://0.0.0.0/
http://10.0.0.1/
http://10.1.2.3/
http://172.16.0.1/
http://192.168.0.1/
http://192.168.7.7/
http://192.168.7.7:8081/
http://169.254.169.254/latest/meta-data/
http://100.64.0.1/
http://100.100.100.200/
http://168.63.129.16/
http://192.0.0.192/
http://192.0.2.1/
http://198.18.0.1/
http://203.0.113.9/
http://224.0.0.1/
http://240.0.0.1/
http://255.255.255.255/
http://999.1.1.1/
http://1.2.3.4.5/
http://[::1]/
http://[::]/
http://[::ffff:127.0.0.1]/
http://[::ffff:7f00:1]/
http://[::ffff:10.0.0.1]/
http://[::127.0.0.1]/
http://[64:ff9b::7f00:1]/
http://[64:ff9b::10.0.0.1]/
http://[64:ff9b:1::1]/
http://[2002:7f00:1::]/
http://[2002:a00:1::1]/
http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/
http://[fe80::1]/
http://[fe80::1%25eth0]/
http://[fd00::1]/
http://[fd00::5]/
http://[fec0::1]/
http://[ff02::1]/
http://[2001:db8::1]/
http://localhost/
http://LOCALHOST./
http://half.example/
http://mapped.example/
http://metadata.example/
http://app.local:3001/
http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/
http://[::ffff:169.254.169.254]/latest/meta-data/
http://[0:0:0:0:0:ffff:c0a8:0001]/
http://0xA9FEA9FE/latest/meta-data/
http://0251.0376.0251.0376/
http://127.000.000.001/
http://00000177.1/
http://192.168.257/
http://user:pw@10.0.0.1/
http://%31%32%37.0.0.1/
http://[::ffff:0:127.0.0.1]/
http://[fd00:ec2::254]/latest/meta-data/
http://metadata.example./
ws://example.com/
jar:http://example.com!/a
HTTP:///example.com/
http://１２７.0.0.1/
""".strip().splitlines()

ALLOWED = """
http://example.com/
https://example.com/a/b?c=d#e
HTTPS://EXAMPLE.COM/
http://example.com:8080/
http://example.com./
http://bücher.example/
http://93.184.215.14/
http://8.8.8.8/
http://134744072/
http://[2606:4700:4700::1111]/
http://[::ffff:8.8.8.8]/
http://[64:ff9b::8.8.8.8]/
http://wiki.corp/
https://wiki.corp:8443/x
http://10.9.200.1/
http://[::ffff:10.9.0.1]/
http://192.168.7.7:8080/
https://[fd00::5]/
""".strip().splitlines()


async def fake_resolve(host: str, port: int) -> list[Address]:
    if host not in DNS:
        raise OSError("no such host")
    return [ipaddress.ip_address(address) for address in DNS[host]]


async def vet(url: str, allow: Sequence[str] = ALLOW) -> None:
    """Do what the fetcher does before it connects."""
    target = parse_target(url)
    known = DNS.get(target.host, ["10.0.0.9"])
    addresses = [target.address] if target.address else [ipaddress.ip_address(a) for a in known]
    AllowList.parse(allow).check(target, addresses)


@pytest.mark.parametrize("url", REFUSED)
async def test_a_url_that_leads_inside_is_refused(url: str) -> None:
    async with HttpFetcher(allow=ALLOW, resolve=fake_resolve, timeout=1) as fetcher:
        with pytest.raises((FetchRefused, FetchFailed)) as caught:
            await fetcher.fetch(url)
    assert isinstance(caught.value, FetchRefused) or "is not known" in str(caught.value)


@pytest.mark.parametrize("url", REFUSED)
async def test_a_refused_url_is_refused_before_any_connection(url: str) -> None:
    with pytest.raises(FetchRefused):
        await vet(url)


@pytest.mark.parametrize("url", ALLOWED)
async def test_a_public_or_allow_listed_url_is_admitted(url: str) -> None:
    await vet(url)


def test_a_target_is_asked_for_by_its_checked_address_and_without_fragment() -> None:
    assert parse_target("http://0x7f.1:8080/a#b").url == "http://127.0.0.1:8080/a"
    assert parse_target("http://[::FFFF:7f00:1]/").host == "::ffff:7f00:1"


def test_no_private_network_is_public() -> None:
    for network in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "100.64.0.0/10"):
        first = ipaddress.ip_network(network)
        assert not is_public(first[0])
        assert not is_public(first[-1])


# ------------------------------------------------------------------------------------------------- real servers

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def local(**options: float | int) -> HttpFetcher:
    return HttpFetcher(
        allow=("127.0.0.1",),
        max_bytes=int(options.get("max_bytes", 100_000)),
        timeout=float(options.get("timeout", 5)),
        resolve=fake_resolve,
    )


async def fails(answer: Answer, path: str = "/", **options: float) -> FootnoteError:
    async with serving(answer) as base, local(**options) as fetcher:
        with pytest.raises(FootnoteError) as caught:
            await fetcher.fetch(base + path)
    return caught.value


async def test_a_document_comes_with_its_type_name_and_final_url() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=302, headers={"Location": "/files/plan%20b.txt?x=1#top", "Set-Cookie": "a=b"})
        assert "Cookie" not in request.headers
        assert request.headers["User-Agent"].startswith("Footnote/")
        return web.Response(text="hello", content_type="text/plain")

    async with serving(answer) as base, local() as fetcher:
        fetched = await fetcher.fetch(base + "/old#frag")
    assert fetched.content == b"hello"
    assert fetched.url == base + "/files/plan%20b.txt?x=1"
    assert fetched.file_name == "plan b.txt"
    assert fetched.media_type == "text/plain; charset=utf-8"


async def test_the_name_in_content_disposition_wins_and_loses_its_folders() -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x", headers={"Content-Disposition": 'attachment; filename="../../etc/Plan.pdf"'})

    async with serving(answer) as base, local() as fetcher:
        assert (await fetcher.fetch(base + "/download")).file_name == "Plan.pdf"


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "http://mapped.example/",
        "http://[::1]/",
        "http://167772161:8080/",
        "http://012.0.0.1/",
        "//10.0.0.1/",
        "http://user:pw@example.com/",
        "javascript:alert(1)",
        "gopher://example.com/",
    ],
)
async def test_a_redirect_to_a_private_place_is_refused(location: str) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": location})

    assert isinstance(await fails(answer), FetchRefused)


async def test_a_redirect_to_a_login_says_so() -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/users/sign_in?next=/doc"})

    error = await fails(answer, "/doc")
    assert "needs a login" in str(error)
    assert isinstance(error, FetchFailed)
    assert not error.retry


async def test_endless_redirects_end() -> None:
    seen: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=301, headers={"Location": "/again"})

    assert isinstance(await fails(answer), FetchRefused)
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("status", "retry", "words"),
    [
        (401, False, "login"),
        (403, False, "upload the file"),
        (404, False, "no such page"),
        (410, False, "no such page"),
        (418, False, "HTTP 418"),
        (429, True, "busy"),
        (500, True, "HTTP 500"),
        (503, True, "busy"),
        (204, False, "empty"),
        (304, False, "HTTP 304"),
    ],
)
async def test_a_status_becomes_a_reason(status: int, retry: bool, words: str) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    error = await fails(answer)
    assert isinstance(error, FetchFailed)
    assert error.retry is retry
    assert words in str(error)


async def test_an_endless_body_is_cut_off() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 10_000)
        except ConnectionError:
            return response

    error = await fails(answer, max_bytes=1_000_000)
    assert isinstance(error, TooLarge)
    assert str(error) == "The document is larger than 1 MB."


async def test_a_stated_length_beyond_the_limit_is_not_even_read() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "60000000"})
        await response.prepare(request)
        return response

    assert isinstance(await fails(answer), TooLarge)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compression_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    bomb = gzip.compress(bytes(20_000_000)) if encoding == "gzip" else zlib.compress(bytes(20_000_000))

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": encoding})

    assert isinstance(await fails(answer), TooLarge)


@pytest.mark.parametrize("form", ["gzip", "zlib", "raw", "identity"])
async def test_a_compressed_body_is_decompressed(form: str) -> None:
    text = b"hello " * 1_000
    raw = zlib.compressobj(wbits=-15)
    body = {"gzip": gzip.compress(text, mtime=0), "zlib": zlib.compress(text), "raw": raw.compress(text) + raw.flush()}
    header = {"gzip": "gzip", "identity": "identity"}.get(form, "deflate")

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body.get(form, text), headers={"Content-Encoding": header})

    async with serving(answer) as base, local() as fetcher:
        assert (await fetcher.fetch(base)).content == text


@pytest.mark.parametrize(
    ("body", "encoding"), [(b"no gzip", "gzip"), (gzip.compress(b"x" * 99, mtime=0)[:-9], "gzip"), (b"x", "br")]
)
async def test_a_damaged_or_unknown_encoding_is_a_failure(body: bytes, encoding: str) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": encoding})

    assert isinstance(await fails(answer), FetchFailed)


async def test_a_slow_server_runs_into_the_timeout() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.02)
        except ConnectionError:
            return response

    error = await fails(answer, timeout=0.3)
    assert isinstance(error, FetchFailed)
    assert error.retry
    assert "did not answer within 0.3 seconds" in str(error)


@asynccontextmanager
async def pouring(first: bytes, more: bytes, pause: float) -> AsyncIterator[str]:
    """Serve `first`, then `more` again and again until the client hangs up."""

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            writer.write(first)
            while not writer.is_closing():
                writer.write(more)
                await writer.drain()
                await asyncio.sleep(pause)
        writer.transport.abort()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_server_that_drips_its_headers_runs_into_the_timeout() -> None:
    async with pouring(b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n", 0.02) as url, local(timeout=0.3) as fetcher:
        with pytest.raises(FetchFailed, match="did not answer within") as caught:
            await fetcher.fetch(url)
    assert caught.value.retry


async def test_endless_headers_are_not_kept() -> None:
    async with pouring(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 10_000, 0) as url, local() as fetcher:
        with pytest.raises(FetchFailed, match=r"network error|broke off"):
            await fetcher.fetch(url)


async def test_brotli_is_neither_asked_for_nor_taken() -> None:
    """A decoder without an output limit would be the way in for a bomb."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "gzip, deflate"
        return web.Response(body=b"\x81" * 2_000, headers={"Content-Encoding": "br"})

    error = await fails(answer)
    assert isinstance(error, FetchFailed)
    assert "not supported (br)" in str(error)


async def test_an_encoding_within_an_encoding_is_refused() -> None:
    bomb = gzip.compress(gzip.compress(bytes(20_000_000)))

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip, gzip"})

    assert isinstance(await fails(answer), FetchFailed)


async def test_an_unknown_host_and_a_closed_port_may_be_retried() -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    async with serving(answer) as base:
        pass
    async with local() as fetcher:
        for url in (base, "http://nowhere.example/"):
            with pytest.raises(FetchFailed) as caught:
                await fetcher.fetch(url)
            assert caught.value.retry


async def test_the_connection_goes_to_the_checked_address_though_the_name_moves() -> None:
    """A name that is public at the check and private at a second look-up: there is no second look-up."""
    looked_up: list[str] = []

    async def rebinding(host: str, port: int) -> list[Address]:
        looked_up.append(host)
        return [ipaddress.ip_address("127.0.0.1" if len(looked_up) == 1 else "10.0.0.1")]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=request.headers["Host"])

    async with serving(answer) as base:
        port = base.rpartition(":")[2]
        async with HttpFetcher(allow=("127.0.0.0/8",), resolve=rebinding) as fetcher:
            fetched = await fetcher.fetch(f"http://moving.example:{port}/")
    assert fetched.content.decode() == f"moving.example:{port}"
    assert looked_up == ["moving.example"]
