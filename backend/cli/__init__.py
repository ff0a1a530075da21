"""The command line: `python -m backend serve|ingest|ask|search|migrate|reindex|backup|prompts|replay|keys|
audit|person|doctor`.

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
from backend.cli import backup_arguments
from backend.cli.recorded import recorded
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
        return recorded(settings, wanted, lambda: run(wanted, settings))
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
            return _migrate(settings, wanted.direction, wanted.revision, index=wanted.index)
        case "doctor":
            return _doctor(settings, wanted)
        case "reindex":
            from backend.cli.reindex import reindex

            return asyncio.run(reindex(settings, wanted))
        case "backup":
            from backend.cli.backup import backup

            return backup(settings, wanted, now=datetime.now(UTC))
        case "ingest":
            from backend.cli.ingest import ingest

            return asyncio.run(ingest(settings, wanted))
        case "prompts":
            from backend.cli.prompts import prompts

            return asyncio.run(prompts(settings, wanted))
        case "keys":
            from backend.cli.keys import keys

            return asyncio.run(keys(settings, wanted))
        case "person":
            from backend.cli.person import person

            return asyncio.run(person(settings, wanted))
        case "audit":
            from backend.cli.audit import audit

            return asyncio.run(audit(settings, wanted))
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
    if wanted.mend:
        from backend.cli.mend import mend

        return asyncio.run(mend(settings))
    if wanted.deleted is None:
        from backend.cli.doctor import doctor

        return asyncio.run(doctor(settings))
    from backend.cli.deleted import deleted

    return asyncio.run(deleted(settings, wanted.deleted, wanted.team, now=datetime.now(UTC)))


def _migrate(settings: Settings, direction: Literal["up", "down"], revision: str | None, *, index: bool) -> int:
    if index:
        from backend.cli.migrate_index import migrate_index

        return asyncio.run(migrate_index(settings, direction, revision))
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
    migrating.add_argument("--index", action="store_true", help="the index instead, to a version such as 1")
    _reindex_parser(commands.add_parser("reindex", help="build the index anew beside the live one, and change over"))
    backup_arguments.parsers(
        commands.add_parser("backup", help="back up everything, beside a running backend, and restore it")
    )
    _prompts_parser(commands.add_parser("prompts", help="the versions of the prompts, and what came of experiments"))
    replaying = commands.add_parser("replay", help="ask a run's question again")
    replaying.add_argument("run", metavar="RUN")
    replaying.add_argument("--prompt", metavar="name@vN", help="answer with this version")
    replaying.add_argument("--json", action="store_true", help="print the reply as JSON")
    replaying.add_argument("--url", help="a backend elsewhere; its key is FOOTNOTE_API_KEY")
    _keys_parser(commands.add_parser("keys", help="API keys: make, list, rotate, revoke"))
    _person_parser(commands.add_parser("person", help="what is kept of somebody: tell it, or delete it"))
    _audit_parser(commands.add_parser("audit", help="who did what, the latest first"))
    examining = commands.add_parser("doctor", help="say what is wrong, and how to mend it")
    examining.add_argument("--mend", action="store_true", help="mend what can be mended, with the backend stopped")
    examining.add_argument("--deleted", metavar="ID", help="say instead what is left of this removed document")
    examining.add_argument("--team", help="whose document it was; default: FOOTNOTE_TEAM")
    return root


def _reindex_parser(command: argparse.ArgumentParser) -> None:
    command.add_argument("--from-source", action="store_true", help="read every document's source again")
    instead = command.add_mutually_exclusive_group()
    instead.add_argument("--rollback", action="store_true", help="go back to the index before, brought up to date")
    instead.add_argument("--drop-old", action="store_true", help="delete every index but the live one")
    instead.add_argument("--anew", action="store_true", help="with the backend stopped: drop the index, ingest again")


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


def _keys_parser(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="action")
    making = actions.add_parser("create", help="make a key and print it, this once")
    making.add_argument("name", help="who or what it is for")
    making.add_argument("--roles", default="ask", help="with + between them: ask, ingest, admin; default: ask")
    making.add_argument("--days", type=int, help="until it ends by itself")
    listing = actions.add_parser("list", help="every key, when it was used last, and whether it is accepted")
    rotating = actions.add_parser("rotate", help="make a new key of this name and print it, this once")
    rotating.add_argument("name")
    rotating.add_argument("--overlap-hours", type=int, default=24, help="until the old one ends; default: 24")
    revoking = actions.add_parser("revoke", help="refuse a key from now on")
    revoking.add_argument("name", metavar="NAME|ID")
    for action in (making, listing, rotating, revoking):
        action.add_argument("--url", help="a backend elsewhere; its key is FOOTNOTE_API_KEY")


def _person_parser(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="action")
    for name, text in (("export", "print it all as JSON"), ("delete", "for good")):
        action = actions.add_parser(name, help=text)
        action.add_argument("user", help="their id in Slack, such as U0123456")
        _where(action)


def _audit_parser(command: argparse.ArgumentParser) -> None:
    command.add_argument("--since", default="7d", help="such as 24h, 7d or 2026-11-20; default: 7d")
    command.add_argument("--of", default="", metavar="WHAT", help="a key, a user, an action, a document")
    command.add_argument("--limit", type=int, default=100, help="entries; default: 100")
    command.add_argument("--json", action="store_true", help="print them as JSON")
    _where(command)


def _where(command: argparse.ArgumentParser) -> None:
    command.add_argument("--team", help="default: FOOTNOTE_TEAM")
    command.add_argument("--url", help="a backend elsewhere; its key is FOOTNOTE_API_KEY")
