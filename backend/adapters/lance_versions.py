"""The schema of the index by version: an earlier one is brought up when it is opened, and can be taken back.

The version is told by the columns: each version after the first added some. Rows of an earlier version get a value in
SQL; what was in a column is lost on the way back, as the earlier program knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import lancedb
import pyarrow as pa

from backend.adapters.lance_places import live_table_at
from backend.adapters.lance_schema import ADDED_COLUMNS
from backend.errors import IndexUnavailable

Table: TypeAlias = Any

ADDED: tuple[Mapping[str, str], ...] = (ADDED_COLUMNS,)
"""What each version added to the one before, from the second on."""
NEWEST = 1 + len(ADDED)


def version_of(columns: Collection[str]) -> int:
    """Return the latest version of which all columns are there, and those of the versions before."""
    version = 1
    for added in ADDED:
        if not set(added) <= set(columns):
            break
        version += 1
    return version


async def upgrade(table: Table, wanted: pa.Schema) -> None:
    """Add the columns that the table lacks. IndexUnavailable where it has some that this program does not know."""
    present = await table.schema()
    unknown = sorted(set(present.names) - set(wanted.names))
    if unknown:
        raise IndexUnavailable(
            f"The index was written by a newer Footnote (this one does not know {', '.join(unknown)}). Take it back"
            " with that one (`python -m backend migrate down --index`), or restore a backup."
        )
    lacking = {name: value for added in ADDED for name, value in added.items() if name not in present.names}
    if lacking:
        await table.add_columns(lacking)


async def downgrade(uri: str, version: int | None, storage: Mapping[str, str] | None = None) -> int:
    """Take the live table back to a version, by default one; return which it has now. Nobody else has it open.

    Raises:
        IndexUnavailable: there is no such version, or the index cannot be reached.
    """
    name = await live_table_at(uri, storage or {})
    try:
        connection: Any = await lancedb.connect_async(uri, storage_options=dict(storage or {}))
        table: Table = await connection.open_table(name)
        now = version_of((await table.schema()).names)
        target = now - 1 if version is None else version
        if not 1 <= target <= now:
            raise IndexUnavailable(f"The index has version {now}; it can be taken back to one from 1 on.")
        dropped = [column for added in ADDED[target - 1 :] for column in added]
        if dropped:
            await table.drop_columns(dropped)
        table.close()
        connection.close()
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        raise IndexUnavailable(f"The index could not be taken back ({type(error).__name__}).") from error
    return target
