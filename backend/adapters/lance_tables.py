"""Which of the tables in an index's folder is the live one. While an index is built anew there are two: the pointer is
a file that is replaced in one step, read before every search, and changed only while no commit is under way."""

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
UNMOVING: Stamp = (-1, -1)
"""The stamp of who follows no pointer."""


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


def next_table(folder: Path) -> str:
    """Return a name that no table has had beside those that there are."""
    numbers = [int(name.partition("-")[2] or 1) for name in [*tables_in(folder), live_table(folder)]]
    return f"{TABLE}-{max(numbers) + 1}"


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


def drop_others(folder: Path) -> list[str]:
    """Delete every table but the live one, unless one is being built; return their names."""
    live = live_table(folder)
    others = [name for name in tables_in(folder) if name != live]
    if not others:
        return []
    with building(folder) as alone:
        dropped = others if alone else []
        for name in dropped:
            shutil.rmtree(folder / f"{name}.lance")
        return dropped


def newest_manifest(table: Path) -> tuple[int, Path]:
    """Return the newest version of a table and the file that lists what belongs to it; FileNotFoundError if none."""
    found = ((MANIFEST.fullmatch(path.name), path) for path in (table / "_versions").iterdir())
    versions = [(_version(match[1]), path) for match, path in found if match]
    if not versions:
        raise FileNotFoundError(table)
    return max(versions)


def _version(digits: str) -> int:
    return LARGEST - int(digits) if len(digits) == NEWEST_FIRST else int(digits)
