"""`migrate up|down --index`: the index's schema, with the backend stopped. A start brings it up by itself."""

from __future__ import annotations

import sys
from typing import Literal

from backend import app
from backend.adapters.lance_versions import NEWEST, downgrade
from backend.errors import BadInput
from backend.lock import FolderLock
from backend.settings import Settings


async def migrate_index(settings: Settings, direction: Literal["up", "down"], version: str | None) -> int:
    """Bring the index up to this program's version, or back to an earlier one. Locked where a backend is running."""
    places = app.Places.of(settings)
    if version is not None and not version.isdecimal():
        raise BadInput("A version of the index is a number, such as 1.")
    with FolderLock(places.lock):
        if direction == "down":
            reached = await downgrade(places.index, int(version) if version else None, places.storage)
        else:
            async with app.opened_embedder(settings, places) as embedder, app.opened_index(places, embedder):
                reached = NEWEST
    sys.stdout.write(f"index migrated {direction}: version {reached}\n")
    return 0
