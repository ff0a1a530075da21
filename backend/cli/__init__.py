"""The command line: `python -m backend serve|ingest|ask|search|migrate|reindex|prompts|replay|doctor`.

Exit codes: 0 done, 1 it did not work out, 2 a wrong argument or setting, 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from backend import log
from backend.errors import FootnoteError
from backend.lock import Locked
from backend.settings import Settings, SettingsError, load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; every foreseen failure is one line on standard error."""
    wanted = parser().parse_args(arguments)
    try:
        settings = load_settings()
        log.configure(
            log.chosen(settings.log_format, settings.env),
            settings.log_level if wanted.command == "serve" else "WARNING",
        )
        return run(wanted, settings)
    except (SettingsError, Locked, FootnoteError) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    except KeyboardInterrupt:
        return 130


def run(wanted: argparse.Namespace, settings: Settings) -> int:
    """Run a parsed command. Heavy modules are imported by the commands that need them."""
    match wanted.command:
        case "serve":
            return _serve(settings)
        case "migrate":
            return _migrate(settings, wanted.direction, wanted.revision)
        case "doctor":
            return _doctor(settings, wanted)
        case "reindex":
            from backend.cli.reindex import reindex

            return asyncio.run(reindex(settings))
        case "ingest":
            from backend.cli.ingest import ingest

            return asyncio.run(ingest(settings, wanted))
        case "prompts":
            from backend.cli.prompts import prompts

            return asyncio.run(prompts(settings, wanted))
        case "replay":
            from backend.cli.replay import replay

            return asyncio.run(replay(settings, wanted))
        case _:
            from backend.cli.ask import ask, search

            return asyncio.run((ask if wanted.command == "ask" else search)(settings, wanted))


def _serve(settings: Settings) -> int:
    from backend.server import serve

    try:
        import uvloop
    except ImportError:  # there is none for Windows
        asyncio.run(serve(settings))
    else:
        uvloop.run(serve(settings))
    return 0


def _doctor(settings: Settings, wanted: argparse.Namespace) -> int:
    if wanted.deleted is None:
        from backend.cli.doctor import doctor

        return asyncio.run(doctor(settings))
    from backend.cli.deleted import deleted

    return asyncio.run(deleted(settings, wanted.deleted, wanted.team, now=datetime.now(UTC)))


def _migrate(settings: Settings, direction: Literal["up", "down"], revision: str | None) -> int:
    from backend.app import migrate_database

    migrate_database(settings, direction, revision)
    sys.stdout.write(f"database migrated {direction}\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    root = argparse.ArgumentParser(prog="python -m backend", description="Footnote's backend.")
    commands = root.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("serve", help="answer HTTP until told to stop")
    _ingest_parser(commands.add_parser("ingest", help="take in documents"))
    for name, text in (("ask", "answer a question with quotes"), ("search", "find passages, without an answer")):
        _question_parser(commands.add_parser(name, help=text))
    migrating = commands.add_parser("migrate", help="bring the database to this program's schema, or back")
    migrating.add_argument("direction", nargs="?", choices=("up", "down"), default="up")
    migrating.add_argument("revision", nargs="?", help="default: head for up, one step for down")
    commands.add_parser("reindex", help="build the index anew from the documents, such as for another embedder")
    _prompts_parser(commands.add_parser("prompts", help="the versions of the prompts, and what came of experiments"))
    replaying = commands.add_parser("replay", help="ask a run's question again")
    replaying.add_argument("run", metavar="RUN")
    replaying.add_argument("--prompt", metavar="name@vN", help="answer with this version")
    replaying.add_argument("--json", action="store_true", help="print the reply as JSON")
    replaying.add_argument("--url", help="a backend elsewhere; its key is FOOTNOTE_API_KEY")
    examining = commands.add_parser("doctor", help="say what is wrong, and how to mend it")
    examining.add_argument("--deleted", metavar="ID", help="say instead what is left of this removed document")
    examining.add_argument("--team", help="whose document it was; default: FOOTNOTE_TEAM")
    return root


def _ingest_parser(command: argparse.ArgumentParser) -> None:
    command.add_argument("sources", nargs="+", metavar="PATH|URL|GLOB|FOLDER|FILE.jsonl")
    command.add_argument("--tags", default="", help="comma-separated")
    command.add_argument("--source", default="", help="where they come from, such as wiki or handbook")
    command.add_argument("--author", default="")
    command.add_argument("--visibility", default="team", help="team, channel:ID or user:ID")
    command.add_argument("--refresh-days", type=int, help="fetch URLs anew after so many days")
    command.add_argument("--jobs", type=int, default=4, help="documents at once")
    _where(command)


def _question_parser(command: argparse.ArgumentParser) -> None:
    command.add_argument("question")
    command.add_argument("--limit", type=int, default=8, help="passages")
    command.add_argument("--channel", help="answer as for the readers of this channel")
    command.add_argument("--json", action="store_true", help="print the reply as JSON")
    _where(command)


def _prompts_parser(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("check", help="refuse released prompts that were edited, and drafts that are in use")
    actions.add_parser("release", help="never to be edited again").add_argument("ids", nargs="+", metavar="name@vN")
    actions.add_parser("list", help="every version, and which are in use")
    actions.add_parser("show", help="print a prompt's file").add_argument("id", metavar="name@vN")
    comparing = actions.add_parser("diff", help="what one version changed of another")
    comparing.add_argument("old", metavar="name@vN")
    comparing.add_argument("new", metavar="name@vN")
    actions.add_parser("render", help="a prompt with sample values").add_argument("id", metavar="name@vN")
    reporting = actions.add_parser("report", help="what came of the experiments, and what a verdict would change")
    reporting.add_argument("--json", action="store_true", help="print the figures as JSON")
    reporting.add_argument("--team", help="default: FOOTNOTE_TEAM")
    reporting.add_argument("--url", help="a backend elsewhere; its key is FOOTNOTE_API_KEY")


def _where(command: argparse.ArgumentParser) -> None:
    command.add_argument("--team", help="default: FOOTNOTE_TEAM")
    command.add_argument("--url", help="a backend elsewhere; its key is FOOTNOTE_API_KEY")
