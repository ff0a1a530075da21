"""Limits per team: how large documents are, and how many were handed in on a day.

Revision: 0006, after: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("documents") as documents:
        documents.add_column(sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"))
        documents.create_index("ix_documents_usage", ["team", "status", "size"])
    op.create_table(
        "intake",
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "day", name="pk_intake"),
    )


def downgrade() -> None:
    op.drop_table("intake")
    with op.batch_alter_table("documents") as documents:
        documents.drop_index("ix_documents_usage")
        documents.drop_column("size")
