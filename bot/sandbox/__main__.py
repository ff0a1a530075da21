"""`python -m bot.sandbox [--port N] [--http REQUEST_URL]`: run the local Slack alone and print what the bot needs."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from bot.sandbox.server import Sandbox
from bot.sandbox.values import Options


async def run(port: int, host: str, request_url: str | None, options: Options) -> None:
    """Run until interrupted."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with Sandbox(port, host=host, request_url=request_url, options=options) as sandbox:
        lines = [f"{name}={value}" for name, value in sandbox.env().items()]
        sys.stdout.write("\n".join([f"# local Slack at {sandbox.page_url}", *lines]) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bot.sandbox", description="A local Slack with a web page.")
    parser.add_argument("--port", type=int, default=int(os.environ.get("FOOTNOTE_SANDBOX_PORT", "8701")))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http", metavar="REQUEST_URL", help="deliver by signed HTTP there instead of Socket Mode")
    parser.add_argument("--retry", type=seconds, default=Options().retry_seconds, help="pauses before redeliveries")
    arguments = parser.parse_args()
    options = Options(retry_seconds=arguments.retry)
    asyncio.run(run(arguments.port, arguments.host, arguments.http, options))


def seconds(text: str) -> tuple[float, ...]:
    """Read `0,60,300`."""
    return tuple(float(one) for one in text.split(","))


if __name__ == "__main__":
    main()
