"""The part of the composition root that looks at concrete things for `/health/detailed`: files, breakers, caches."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from backend.adapters.dbos import WORKFLOWS
from backend.adapters.lancedb import LanceIndex
from backend.adapters.sql import Database
from backend.api.vitals import Check, Finding, disk_finding, index_finding, models_finding
from backend.ingest.pipeline import VERSION
from backend.ports import CacheStore
from backend.writing import Models

LIBRARIES = ("lancedb", "dbos", "litestar", "sqlalchemy", "onnxruntime", "openai")
PROBE = "health"
"""A key that no cache holds."""
TIERS = {"l1": "memory", "l2": "Redis", "l3": "database"}


def checks_of(
    data: Path, index_uri: str, database_url: str, index: LanceIndex, database: Database,
    models: Models, stores: Sequence[CacheStore],
) -> Mapping[str, Check]:  # fmt: skip
    """Return the checks beside, or instead of, those of the HTTP layer."""

    async def looked_at_index() -> Finding:
        size = None if "://" in index_uri else await asyncio.to_thread(bytes_in, Path(index_uri))
        return index_finding(await index.status(), size)

    async def looked_at_database() -> Finding:
        figures: dict[str, str | int | float] = dict(await database.documents.counts())
        figures["kind"] = database.engine.dialect.name
        if database_url.startswith("sqlite:///"):
            figures["bytes"] = await asyncio.to_thread(file_bytes, Path(database_url.removeprefix("sqlite:///")))
        return Finding(figures)

    async def looked_at_models() -> Finding:
        return models_finding({name: breaker.state for name, breaker in models.breakers.items()})

    async def looked_at_disk() -> Finding:
        usage = await asyncio.to_thread(shutil.disk_usage, data)
        return disk_finding(usage.free, usage.total)

    async def looked_at_versions() -> Finding:
        libraries = {name: version(name) for name in LIBRARIES}
        return Finding(
            {"python": platform.python_version(), **libraries, "workflows": WORKFLOWS, "extraction": VERSION}
        )

    return {
        "index": looked_at_index,
        "database": looked_at_database,
        "models": looked_at_models,
        **{f"cache_{store.tier}": _cache_check(store) for store in stores},
        "disk": looked_at_disk,
        "versions": looked_at_versions,
    }  # fmt: skip


def _cache_check(store: CacheStore) -> Check:
    async def looked_at_cache() -> Finding:
        await store.get(PROBE)
        return Finding({"in": TIERS[store.tier]})

    return looked_at_cache


def bytes_in(folder: Path) -> int:
    """Return the bytes of all files of a folder; what goes away meanwhile does not count."""
    return sum(file_bytes(Path(root, name)) for root, _, names in os.walk(folder) for name in names)


def file_bytes(path: Path) -> int:
    """Return the bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
