"""One owner per data folder: the index has one writer, so a second backend on the same folder must not start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from backend.errors import Unavailable


class Locked(Exception):
    """Somebody else owns the folder; `url` is where they said they answer, "" before they did."""

    def __init__(self, path: Path, url: str) -> None:
        where = f" and answers at {url}" if url else ""
        super().__init__(
            f"Another Footnote backend uses {path.parent}{where}. Stop it, or set FOOTNOTE_DATA_DIR to another folder."
        )
        self.url = url


class FolderLock:
    """Held from `__enter__` to `__exit__`, and let go by the system if the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Raise Locked if somebody else holds it, Unavailable if the folder cannot be written."""
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"The folder {folder} cannot be written: {error.strerror}. See FOOTNOTE_DATA_DIR."
            ) from error
        try:
            self._take()
        except BlockingIOError:
            os.close(self._descriptor)
            raise Locked(self._path, self._path.read_text().strip()) from None
        self.announce("")
        return self

    def _take(self) -> None:
        """Take it, with some patience: `owner` holds it for the moment in which it looks."""
        for _ in range(4):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.03)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def announce(self, url: str) -> None:
        """Tell others where the owner answers."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, url.encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.announce("")
        os.close(self._descriptor)


def owner(path: Path) -> str | None:
    """Return where the folder's owner answers ("" while it starts), None where nobody holds it."""
    if not path.exists():
        return None
    try:
        with FolderLock(path):
            return None
    except Locked as held:
        return held.url
