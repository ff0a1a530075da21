"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

UNFINISHED = ".tmp-"
"""What the names of files begin with that are being written, or that a crash has left half-written."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, over the one that was there: temporary file, fsync, rename, fsync of the folder. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    finally:  # after the renaming there is nothing of that name
        Path(temporary).unlink(missing_ok=True)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
