"""Collections: sites, feeds and archives whose documents are ingested together.

Revision: 0004, after: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "collections",
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("collection_id", sa.String(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.Column("visibility", sa.String(80), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("stated", sa.JSON(), nullable=False),
        sa.Column("refresh_days", sa.Integer()),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("attempt", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "collection_id", name="pk_collections"),
    )
    op.create_index("ix_collections_status", "collections", ["status"])
    op.create_table(
        "collection_documents",
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("collection_id", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("team", "collection_id", "document_id", name="pk_collection_documents"),
    )


def downgrade() -> None:
    op.drop_table("collection_documents")
    op.drop_table("collections")
