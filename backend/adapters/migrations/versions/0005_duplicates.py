"""Duplicates: which documents have the same text as another, and sketches by which nearly the same ones are noticed.

Revision: 0005, after: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("documents") as documents:
        documents.add_column(sa.Column("text_digest", sa.String(64), nullable=False, server_default=""))
        documents.add_column(sa.Column("same_as", sa.String(512), nullable=False, server_default=""))
        documents.add_column(sa.Column("similar_to", sa.String(512), nullable=False, server_default=""))
        documents.create_index("ix_documents_text_digest", ["team", "text_digest", "visibility"])
        documents.create_index("ix_documents_same_as", ["team", "same_as"])
    op.create_table(
        "sketches",
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(512), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.Column("visibility", sa.String(80), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("team", "document_id", "mark", name="pk_sketches"),
    )
    op.create_index("ix_sketches_mark", "sketches", ["team", "visibility", "mark"])


def downgrade() -> None:
    """What points to another document is indexed on its own again at its next refresh, which is made due."""
    op.drop_table("sketches")
    op.execute("UPDATE documents SET due_at = updated_at, snapshot = '{}', revision = '' WHERE same_as <> ''")
    with op.batch_alter_table("documents") as documents:
        documents.drop_index("ix_documents_same_as")
        documents.drop_index("ix_documents_text_digest")
        for column in ("similar_to", "same_as", "text_digest"):
            documents.drop_column(column)
