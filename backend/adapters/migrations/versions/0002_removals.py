"""Removals: which documents were removed, and how far their bytes are gone.

Revision: 0002, after: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "removals",
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(512), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_version", sa.BigInteger()),
        sa.Column("erased_at", sa.BigInteger()),
        sa.Column("purged_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("team", "document_id", name="pk_removals"),
    )
    op.create_index("ix_removals_team_removed_at", "removals", ["team", "removed_at"])
    op.create_index("ix_removals_purged_at", "removals", ["purged_at"])
    _what_was_removed_before()


def downgrade() -> None:
    op.drop_table("removals")


def _what_was_removed_before() -> None:
    """Take over the documents that were removed before this table was: their bytes are still to be purged."""
    op.execute(
        "INSERT INTO removals (team, document_id, removed_at) "
        "SELECT team, document_id, updated_at FROM documents WHERE status = 'deleted'"
    )
