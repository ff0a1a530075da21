"""What is known about documents beside their text, the filters over it, and the values that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

FieldValue: TypeAlias = str | float | datetime
"""One value of a metadata field."""

BUILT_IN_FIELDS = (
    "source", "author", "doc_type", "tags", "title", "language", "published_at", "ingested_at", "document_id",
)  # fmt: skip
"""The fields that every document has; any other name in a filter is a custom field."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known about a document beside its text. Empty means unknown."""

    author: tuple[str, ...] = ()
    source: str = ""
    doc_type: str = ""
    language: str = ""
    published_at: datetime | None = None
    tags: tuple[str, ...] = ()
    custom: Mapping[str, tuple[FieldValue, ...]] = field(default_factory=dict)

    def over(self, detected: Metadata) -> Metadata:
        """Return these values where they are known, the detected ones elsewhere."""
        return Metadata(
            author=self.author or detected.author,
            source=self.source or detected.source,
            doc_type=self.doc_type or detected.doc_type,
            language=self.language or detected.language,
            published_at=self.published_at or detected.published_at,
            tags=self.tags or detected.tags,
            custom={**detected.custom, **self.custom},
        )


Operator: TypeAlias = Literal["eq", "ne", "in", "gte", "lt", "contains"]


@dataclass(frozen=True, slots=True)
class Condition:
    """`field op value`. `value` is a tuple for `in`; a datetime is an instant and date ranges are half open."""

    op: Operator
    field: str
    value: FieldValue | tuple[FieldValue, ...]


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Filter


Filter: TypeAlias = Condition | And | Or | Not


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Which values each field takes in the documents that an audience may read: field → value → document count."""

    values: Mapping[str, Mapping[FieldValue, int]] = field(default_factory=dict)
