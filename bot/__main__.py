"""`python -m bot`: run the bot; without Slack tokens, with a local Slack of its own.

`python -m bot doctor` says what is wrong and what to click; `python -m bot purge TEAM` forgets a workspace, with
`--user USER` a person.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from backend import log
from backend.signals import opened_signals
from bot.app import open_bot
from bot.client import BackendProblem, BackendUnavailable
from bot.doctor import doctor
from bot.forgetting import forget
from bot.purge import purge
from bot.settings import Settings, SettingsError, load_settings


async def run(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM; a second one does not wait for answers in flight."""
    task = asyncio.current_task()
    assert task is not None
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    with suppress(asyncio.CancelledError):
        dsn = settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None
        async with opened_signals("footnote-bot", settings.otlp_endpoint, dsn), open_bot(settings) as bot:
            if bot.page is not None:
                sys.stdout.write(f"Open {bot.page} in a browser: a local Slack with Footnote in it.\n")
                sys.stdout.flush()
            await asyncio.Event().wait()


USAGE = "usage: python -m bot [doctor | purge TEAM [--user USER]]\n"


def main(arguments: Sequence[str] = ()) -> int:
    try:
        settings = load_settings()
        log.configure(log.chosen(settings.log_format, settings.env), settings.log_level)
        match arguments:
            case []:
                asyncio.run(run(settings))
            case ["doctor"]:
                return asyncio.run(doctor(settings))
            case ["purge", team, "--user", user]:
                return asyncio.run(forget(settings, team, user))
            case ["purge", team]:
                return asyncio.run(purge(settings, team))
            case _:
                sys.stderr.write(USAGE)
                return 2
    except (SettingsError, BackendUnavailable, BackendProblem) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
