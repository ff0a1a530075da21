"""The grammar of `backup …`, without what the command itself imports."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime


def parsers(command: argparse.ArgumentParser) -> None:
    """Add the grammar of `backup …`."""
    actions = command.add_subparsers(dest="action", required=True, metavar="action")
    creating = actions.add_parser("create", help="back up what has changed since the last time")
    creating.add_argument("--full", action="store_true", help="read and write every file anew")
    listing = actions.add_parser("list", help="which backups there are")
    verifying = actions.add_parser("verify", help="read every byte, and say what is damaged or missing")
    verifying.add_argument("id", nargs="?", metavar="ID", help="default: all")
    restoring = actions.add_parser("restore", help="write a backup into a new folder")
    restoring.add_argument("id", nargs="?", metavar="ID", help="default: the newest")
    restoring.add_argument(
        "--at", type=_moment, metavar="TIME", help="the newest made by then, such as 2026-11-20T09:00"
    )
    restoring.add_argument("--into", required=True, metavar="FOLDER", help="a new or empty folder")
    restoring.add_argument("--database", metavar="URL", help="an empty PostgreSQL database, where the backup has one")
    for name in ("index", "blobs"):
        restoring.add_argument(f"--{name}", type=_uri, metavar="s3://…", help="an empty place for it there instead")
    pruning = actions.add_parser("prune", help="delete old backups")
    pruning.add_argument("--keep", type=_count, required=True, metavar="N", help="how many of the newest stay")
    for action in (creating, listing, verifying, restoring, pruning):
        action.add_argument("--store", metavar="FOLDER|s3://…", help="where backups are; default: FOOTNOTE_BACKUPS")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _uri(text: str) -> str:
    if "://" not in text:
        raise argparse.ArgumentTypeError("must be a URI such as s3://bucket/index; without it, it is in the folder")
    return text


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
