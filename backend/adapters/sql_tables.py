"""The tables of the state database. A change here needs a migration: `tests/unit/test_state_database.py` compares."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970: exact, ordered and the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else from_microseconds(value)


def to_microseconds(moment: datetime) -> int:
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_microseconds(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


tables = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

documents = Table(
    "documents",
    tables,
    Column("team", String(64), primary_key=True),
    Column("document_id", String(512), primary_key=True),
    Column("origin", JSON, nullable=False),
    Column("title", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("search_text", Text, nullable=False),
    Column("visibility", String(80), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("revision", String(64), nullable=False),
    Column("stated", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("refresh_days", Integer),
    Column("attempt", String(64), nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("stated_title", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("by", String(64), nullable=False, server_default=""),
    Column("checked_at", Moment),
    Column("due_at", Moment),
    Column("missing_since", Moment),
    Column("snapshot", JSON, nullable=False, server_default="{}"),
    Column("text_digest", String(64), nullable=False, server_default=""),
    Column("same_as", String(512), nullable=False, server_default=""),
    Column("similar_to", String(512), nullable=False, server_default=""),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Index("ix_documents_usage", "team", "status", "size"),
    Index("ix_documents_attempt_due_at", "attempt", "due_at"),
    Index("ix_documents_text_digest", "team", "text_digest", "visibility"),
    Index("ix_documents_same_as", "team", "same_as"),
    Index("ix_documents_listing", "team", "updated_at", "document_id"),
    Index("ix_documents_change", "team", "change"),
    Index("ix_documents_status", "status"),
    Index("ix_documents_attempt", "attempt"),
)
"""`search_text` is title and URL in lower case, folded by Python: databases differ in what they fold."""

document_changes = Table(
    "document_changes",
    tables,
    Column("team", String(64), primary_key=True),
    Column("last", BigInteger, nullable=False),
)
"""How often the documents of a team were changed. A write takes the next number in its own transaction and leaves it in
`documents.change`, so a reader sees cheaply whether, and where, anything changed: in this process or another."""

collections = Table(
    "collections",
    tables,
    Column("team", String(64), primary_key=True),
    Column("collection_id", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("kind", String(16)),
    Column("limit", Integer, nullable=False),
    Column("visibility", String(80), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("found", Integer, nullable=False),
    Column("stated", JSON, nullable=False),
    Column("refresh_days", Integer),
    Column("by", String(64), nullable=False),
    Column("attempt", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_collections_status", "status"),
)

collection_documents = Table(
    "collection_documents",
    tables,
    Column("team", String(64), primary_key=True),
    Column("collection_id", String(64), primary_key=True),
    Column("document_id", String(512), primary_key=True),
)

sketches = Table(
    "sketches",
    tables,
    Column("team", String(64), primary_key=True),
    Column("document_id", String(512), primary_key=True),
    Column("mark", BigInteger, primary_key=True, autoincrement=False),
    Column("visibility", String(80), nullable=False),
    Column("size", Integer, nullable=False),
    Index("ix_sketches_mark", "team", "visibility", "mark"),
)

intake = Table(
    "intake",
    tables,
    Column("team", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("pages", BigInteger, nullable=False),
)

notices = Table(
    "notices",
    tables,
    Column("notice_id", String(64), primary_key=True),
    Column("team", String(64), nullable=False),
    Column("user", String(64), nullable=False),
    Column("document_id", String(512), nullable=False),
    Column("title", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_notices_team_created_at", "team", "created_at"),
)

removals = Table(
    "removals",
    tables,
    Column("team", String(64), primary_key=True),
    Column("document_id", String(512), primary_key=True),
    Column("removed_at", Moment, nullable=False),
    Column("erased_version", BigInteger),
    Column("erased_at", Moment),
    Column("purged_at", Moment),
    Index("ix_removals_team_removed_at", "team", "removed_at"),
    Index("ix_removals_purged_at", "purged_at"),
)

cached = Table(
    "cached",
    tables,
    Column("key", String(80), primary_key=True),
    Column("team", String(64), nullable=False),
    Column("documents", JSON, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("kept_at", Moment, nullable=False),
    Index("ix_cached_kept_at", "kept_at"),
)

cached_documents = Table(
    "cached_documents",
    tables,
    Column("team", String(64), primary_key=True),
    Column("document_id", String(512), primary_key=True),
    Column("key", String(80), ForeignKey("cached.key", ondelete="CASCADE"), primary_key=True),
    Index("ix_cached_documents_key", "key"),
)
"""Which entries hold words of a document, and go with it."""

spendings = Table(
    "spendings",
    tables,
    Column("team", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("scope", String(8), primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("tokens", BigInteger, nullable=False),
    Column("cost", Float, nullable=False),
)

runs = Table(
    "runs",
    tables,
    Column("run_id", String(64), primary_key=True),
    Column("team", String(64), nullable=False),
    Column("channel", String(64)),
    Column("user", String(64)),
    Column("private", SmallInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("prompt", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("total_ms", Float, nullable=False),
    Column("trace", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_runs_team_created_at", "team", "created_at"),
    Index("ix_runs_created_at", "created_at"),
)

feedback = Table(
    "feedback",
    tables,
    Column("run_id", String(64), ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("user", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("rating", SmallInteger, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_feedback_created_at", "created_at"),
)

api_keys = Table(
    "api_keys",
    tables,
    Column("key_id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("roles", String(32), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
)

audit = Table(
    "audit",
    tables,
    Column("deed_id", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("key", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("team", String(64), nullable=False),
    Column("user", String(64), nullable=False),
    Column("target", String(512), nullable=False),
    Column("request_id", String(128), nullable=False),
    Index("ix_audit_at", "at"),
)

forgotten = Table(
    "forgotten",
    tables,
    Column("team", String(64), primary_key=True),
    Column("user", String(64), primary_key=True),
    Column("at", Moment, nullable=False),
)
"""Who was forgotten lately, for the other backends to forget them as well."""
