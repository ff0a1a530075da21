"""The part of the composition root that decides what is kept of people, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.adapters.lancedb import LanceIndex
from backend.adapters.sql import Database
from backend.adapters.sql_people import SqlPeople
from backend.adapters.sql_retention import SqlRetention
from backend.caches import Caches, cache_of
from backend.people import Forgetting, People, Removing
from backend.pii import Blotter
from backend.ports import Feedbacks, Runs
from backend.retention import Retention, Terms
from backend.settings import Settings
from backend.storing import BlottedFeedbacks, BlottedRuns

A_DAY = timedelta(days=1)


def stored_runs(settings: Settings, database: Database) -> Runs:
    """Return where runs are put, with what is not to be stored blotted out of them."""
    return BlottedRuns(database.runs, blotter(settings).blot) if settings.redact else database.runs


def stored_feedbacks(settings: Settings, database: Database) -> Feedbacks:
    """Return where ratings are put, likewise."""
    return BlottedFeedbacks(database.feedbacks, blotter(settings).blot) if settings.redact else database.feedbacks


def blotter(settings: Settings) -> Blotter:
    return Blotter(settings.redact, settings.redact_regions)


def retention(settings: Settings, database: Database, now: Callable[[], datetime]) -> Retention:
    """Return the chore that lets go of what is too old."""
    terms = Terms(
        runs=settings.keep_runs_days,
        traces=settings.keep_traces_days,
        feedback=settings.keep_feedback_days,
        spendings=settings.keep_spendings_days,
        audit=settings.keep_audit_days,
    )
    return Retention(SqlRetention(database.engine), cache_of(settings, database), terms, database.flush, now)


def people(database: Database, ingest: Removing, index: LanceIndex, caches: Caches) -> People:
    """Return what tells and deletes what is kept of a person."""
    return People(SqlPeople(database.engine), database.documents, ingest, Words(index), caches, database.flush)


def forgetting(settings: Settings, database: Database, caches: Caches) -> Forgetting:
    """Return the chore that forgets whom another backend was told to forget."""
    return Forgetting(SqlPeople(database.engine), caches, max(settings.cache_age, A_DAY))


@dataclass(frozen=True, slots=True)
class Words:
    """people.Reading over the index."""

    index: LanceIndex

    async def text(self, team: str, document_id: str) -> str:
        found = await self.index.contents(team, document_id)
        return "\n\n".join(chunk.text for chunk in found.chunks) if found else ""
