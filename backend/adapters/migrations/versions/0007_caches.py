"""Kept answers, so that a restart is warm; and what each user, channel and team spends on models in a day.

Revision: 0007, after: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cached",
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("documents", sa.JSON(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_cached"),
    )
    op.create_index("ix_cached_kept_at", "cached", ["kept_at"])
    op.create_table(
        "cached_documents",
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(512), nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("team", "document_id", "key", name="pk_cached_documents"),
        sa.ForeignKeyConstraint(["key"], ["cached.key"], name="fk_cached_documents_key", ondelete="CASCADE"),
    )
    op.create_index("ix_cached_documents_key", "cached_documents", ["key"])
    op.create_table(
        "spendings",
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("scope", sa.String(8), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("team", "day", "scope", "subject", name="pk_spendings"),
    )


def downgrade() -> None:
    op.drop_table("spendings")
    op.drop_table("cached_documents")
    op.drop_table("cached")
