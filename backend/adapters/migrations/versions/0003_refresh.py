"""Refreshing: who asked for a document, when its source was and will be looked at, and what people are to be told.

Revision: 0003, after: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("documents") as documents:
        documents.add_column(sa.Column("by", sa.String(64), nullable=False, server_default=""))
        documents.add_column(sa.Column("checked_at", sa.BigInteger()))
        documents.add_column(sa.Column("due_at", sa.BigInteger()))
        documents.add_column(sa.Column("missing_since", sa.BigInteger()))
        documents.add_column(sa.Column("snapshot", sa.JSON(), nullable=False, server_default="{}"))
        documents.create_index("ix_documents_attempt_due_at", ["attempt", "due_at"])
    # Sources were never looked at on a schedule before: those that are to be are due now.
    op.execute("UPDATE documents SET due_at = updated_at WHERE refresh_days IS NOT NULL AND status <> 'deleted'")
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.String(64), nullable=False),
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(512), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notices"),
    )
    op.create_index("ix_notices_team_created_at", "notices", ["team", "created_at"])


def downgrade() -> None:
    op.drop_table("notices")
    with op.batch_alter_table("documents") as documents:
        documents.drop_index("ix_documents_attempt_due_at")
        for column in ("snapshot", "missing_since", "due_at", "checked_at", "by"):
            documents.drop_column(column)
