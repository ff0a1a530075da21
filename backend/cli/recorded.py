"""What is done on the command line without a backend is in the audit log as well: by whom, what, what came of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import pwd
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger

from backend.access import LONGEST_TARGET, Deed, DeedOutcome, deed_id, outcome_of
from backend.errors import FootnoteError, Unavailable
from backend.lock import Locked
from backend.settings import Settings, SettingsError

PATIENCE = 10.0
"""Seconds for a database, which after a disaster may not be there."""
_STRANGE = re.compile(r"[^A-Za-z0-9_.-]")
_CREDENTIALS = re.compile(r"//[^/@]*@")

Act = tuple[str, str]
"""An action, and what it is done to."""


def operator() -> str:
    """Return who types, as the audit log names them: `cli:` and the system's name of the user that this runs as."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, a number may have no name
        name = str(os.getuid())
    return f"cli:{_STRANGE.sub('_', name)[:60]}"


def act_of(wanted: argparse.Namespace) -> Act | None:
    """Return what a command changes by itself; None for one that only reads, or asks a backend, which records it."""
    match wanted.command, getattr(wanted, "action", ""):
        case "migrate", _:
            return "index.migrate" if wanted.index else "database.migrate", _said(wanted.direction, wanted.revision)
        case "reindex", _:
            return _reindexing(wanted)
        case "backup", "create":
            return "backup.create", _said(wanted.store, "full" if wanted.full else "")
        case "backup", "restore":
            chosen = wanted.id or (f"at {wanted.at.isoformat()}" if wanted.at else "newest")
            return "backup.restore", _said(wanted.store, chosen, "into", wanted.into, wanted.index, wanted.blobs)
        case "backup", "prune":
            return "backup.prune", _said(wanted.store, "keep", wanted.keep)
        case "doctor", _:
            return ("doctor.mend", "") if wanted.mend else None
        case "prompts", "release":
            return "prompt.release", _said(*wanted.ids)
        case _:
            return None


def _reindexing(wanted: argparse.Namespace) -> Act:
    if wanted.rollback:
        return "index.rollback", ""
    if wanted.drop_old:
        return "index.drop_old", ""
    return "index.rebuild", _said("anew" if wanted.anew else "", "from source" if wanted.from_source else "")


def _said(*parts: object) -> str:
    return _CREDENTIALS.sub("//", " ".join(str(part) for part in parts if part))[:LONGEST_TARGET]


def recorded(settings: Settings, wanted: argparse.Namespace, command: Callable[[], int]) -> int:
    """Run the command and return its exit code; what it changed, or tried to, is in the audit log then. It stands
    though it could not be recorded, which is in the log."""
    act = act_of(wanted)
    if act is None:
        return command()
    outcome: DeedOutcome = "failed"
    try:
        code = command()
        outcome = "failed" if code else "done"
        return code
    except (SettingsError, Locked, FootnoteError) as error:
        outcome = outcome_of(error.status) if isinstance(error, FootnoteError) else "refused"
        raise
    finally:
        note(_deed(act, outcome), _databases(settings, wanted, outcome))


def _deed(act: Act, outcome: DeedOutcome) -> Deed:
    now = datetime.now(UTC)
    return Deed(deed_id(now), now, operator(), act[0], outcome, target=act[1])


def _databases(settings: Settings, wanted: argparse.Namespace, outcome: DeedOutcome) -> list[str]:
    """Return the database of these settings, and the one that was restored, as far as they are there."""
    from backend.app import Places  # two seconds of importing that few commands do without

    urls = [Places.of(settings).database]
    if (wanted.command, outcome) == ("backup", "done") and wanted.action == "restore":
        folder = Path(wanted.into).expanduser().resolve()
        urls.append(wanted.database or f"sqlite:///{folder / 'footnote.db'}")
    return [url for url in dict.fromkeys(urls) if _there(url)]


def _there(url: str) -> bool:
    path = url.removeprefix("sqlite:///")
    return path == url or Path(path).exists()


def note(deed: Deed, databases: Sequence[str]) -> None:
    """Add a deed to the audit log of each database; one that cannot take it is passed over, and told of."""
    for url in databases:
        try:
            asyncio.run(_add(url, deed))
        except Unavailable:
            logger.bind(key=deed.key, action=deed.action, target=deed.target).error("not in the audit log")


async def _add(url: str, deed: Deed) -> None:
    from backend.adapters.sql import Database

    database = Database.open(url)
    try:
        async with asyncio.timeout(PATIENCE):
            await database.audit.add(deed)
    except TimeoutError:
        raise Unavailable("The database does not answer.") from None
    finally:
        await database.close()
