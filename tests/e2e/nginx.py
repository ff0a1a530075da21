"""A real nginx with the configuration that we ship, on free ports of loopback, in front of what a test names."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.processes import PROJECT, free_port
from tests.programs import needs

needs_nginx = needs("nginx", "openssl")

SHIPPED = PROJECT / "deploy" / "nginx"
MAIN = """
daemon off; worker_processes 1; error_log {folder}/error.log; pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/footnote.conf;
}}
"""


async def certified(folder: Path) -> None:
    """Make a certificate for localhost in `folder`: tls.crt and tls.key."""
    made = await asyncio.create_subprocess_exec(
        *(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0


def configured(folder: Path, port: int, backends: Sequence[int], *, limited: bool) -> None:
    """Write the shipped configuration with this port, these backends and this certificate in place of its own."""
    shipped = (SHIPPED / "footnote.conf").read_text()
    for theirs, ours in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/footnote/", f"{folder}/"),
        ("/etc/nginx/", f"{folder}/"),
        ("footnote.example.com", "localhost"),
    ):
        assert theirs in shipped
        shipped = shipped.replace(theirs, ours)
    if not limited:
        shipped = re.sub(r"^ *limit_(req|conn) .*\n", "", shipped, flags=re.MULTILINE)
    (folder / "footnote.conf").write_text(shipped)
    line = (SHIPPED / "footnote-backends.conf").read_text().splitlines()[-1]
    lines = [line.replace("backend:8700", f"127.0.0.1:{backend}") for backend in backends]
    (folder / "footnote-backends.conf").write_text("\n".join(lines))
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))


@asynccontextmanager
async def nginx(folder: Path, *backends: int, limited: bool = True) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Run nginx in front of backends on these ports; yield its URL and what trusts its certificate. Without its limits
    for an address if not `limited`: a generator of load is one address."""
    port = free_port()
    await certified(folder)
    configured(folder, port, backends, limited=limited)
    process = await asyncio.create_subprocess_exec("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    try:
        async with asyncio.timeout(20):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                await writer.wait_closed()
                break
        assert process.returncode is None, (folder / "error.log").read_text()
        yield f"https://localhost:{port}", ssl.create_default_context(cafile=str(folder / "tls.crt"))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
