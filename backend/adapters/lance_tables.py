"""Which of the tables in an index's folder is the live one; `lance_places` has the same of an object store.

While an index is built anew there are two: the pointer is a file that is replaced in one step, read before every
search, and changed only while no commit is under way.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.files import write_whole

TABLE = "chunks"
"""The first table; those that take its place have a number behind the name."""
POINTER = "live"
TURN = "turn"
"""The file that commits lock together, and a change of the pointer alone."""
NEXT = re.compile(rf"{TABLE}(?:-(\d+))?\.lance")
MANIFEST = re.compile(r"(\d+)\.manifest")
NEWEST_FIRST = 20
"""Digits of a manifest's name in the present scheme, which counts down from the largest 64-bit number."""
LARGEST = 2**64 - 1

BUILD = "build"
"""The file that is locked while an index is built beside the live one."""

Stamp = tuple[int, int]
"""What tells one state of the pointer from another."""


def live_table(folder: Path) -> str:
    """Return the name of the table that is searched and written."""
    try:
        return (folder / POINTER).read_text().strip() or TABLE
    except FileNotFoundError:
        return TABLE


def stamp(folder: Path) -> Stamp:
    """Return what changes when the pointer does; costs some microseconds."""
    try:
        seen = (folder / POINTER).stat()
    except FileNotFoundError:
        return (0, 0)
    return (seen.st_ino, seen.st_mtime_ns)


def point_to(folder: Path, table: str) -> None:
    """Make a table the live one; `turn(folder, alone=True)` is held meanwhile."""
    write_whole(folder / POINTER, table.encode())


def tables_in(folder: Path) -> list[str]:
    """Return the names of the tables that there are, the oldest first."""
    found = (NEXT.fullmatch(path.name) for path in folder.glob(f"{TABLE}*.lance"))
    return [f"{TABLE}-{number}" if number else TABLE for number in sorted(int(one[1] or 0) for one in found if one)]


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold the pointer as it is: together with others that commit, or alone, when they have ended. Blocks; the system
    lets go if the process dies."""
    descriptor = os.open(folder / TURN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def building(folder: Path) -> Iterator[bool]:
    """Hold the right to have tables beside the live one; yield whether nobody else has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / BUILD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def drop(folder: Path, table: str) -> None:
    """Delete a table."""
    shutil.rmtree(folder / f"{table}.lance")


def newest_manifest(table: Path) -> tuple[int, Path]:
    """Return the newest version of a table and the file that lists what belongs to it; FileNotFoundError if none."""
    found = ((version_in(path.name), path) for path in (table / "_versions").iterdir())
    versions = [(version, path) for version, path in found if version is not None]
    if not versions:
        raise FileNotFoundError(table)
    return max(versions)


def version_in(path: str) -> int | None:
    """Return the version of a table that a manifest is of, by its path; None for another file."""
    match = MANIFEST.fullmatch(path.rpartition("/")[2])
    if match is None:
        return None
    return LARGEST - int(match[1]) if len(match[1]) == NEWEST_FIRST else int(match[1])
