"""LanceDB 0.40 renames its files into place without fsync: after a power cut an acknowledged commit may be gone or
zero-filled. What it has written to a local table is flushed here."""

from __future__ import annotations

import os
from pathlib import Path


class Flusher:
    """Flushes the files that appeared in a folder since the last time. Lance's files never change once written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._flushed = frozenset(_files(folder))

    def flush(self) -> int:
        """fsync new files, then the folders that hold them; return how many files. Blocks; raises OSError."""
        present = frozenset(_files(self._folder))
        fresh = present - self._flushed
        flushed = [path for path in fresh if _fsync(path)]
        for folder in {parent for path in flushed for parent in path.parents if parent.is_relative_to(self._folder)}:
            _fsync(folder)
        self._flushed = present
        return len(flushed)


def _files(folder: Path) -> list[Path]:
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]


def _fsync(path: Path) -> bool:
    """Flush one file or folder; return False if it is gone (a temporary file, or an old version cleaned up)."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True
