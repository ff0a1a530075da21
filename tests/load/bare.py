"""A server that does nothing but answer: what the machine itself adds to the time of `/health`."""

from __future__ import annotations

import sys

from aiohttp import web


async def alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def main(port: int) -> None:
    app = web.Application()
    app.router.add_get("/health", alive)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
