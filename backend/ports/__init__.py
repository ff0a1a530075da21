"""What the story needs from the outside world, in its own words. Adapters implement these; only `app.py` knows which.

Every method may raise the `Unavailable` of its kind; nothing else of a vendor's gets through. Callers own deadlines.
"""

from backend.ports.index import (
    Edition,
    Editions,
    Embedder,
    Holding,
    Index,
    IndexEraser,
    IndexStatus,
    IndexWriter,
    VersionsKept,
)
from backend.ports.ingest import BLOB_START, Blobs, CollectionQueue, Fetched, Fetcher, IngestQueue, Work
from backend.ports.limits import CacheStore, CacheTier, Entry, Rates, Scope, Spendings, Spent, Wait
from backend.ports.models import LLM, Answerer, Captioner, ChatMessage, Compressor, Image, Reranker
from backend.ports.records import (
    Collections,
    DocumentPage,
    Documents,
    Feedbacks,
    Kin,
    Notices,
    Removals,
    Runs,
    Sketches,
    Usage,
    Usages,
)

__all__ = [
    "BLOB_START",
    "LLM",
    "Answerer",
    "Blobs",
    "CacheStore",
    "CacheTier",
    "Captioner",
    "ChatMessage",
    "CollectionQueue",
    "Collections",
    "Compressor",
    "DocumentPage",
    "Documents",
    "Edition",
    "Editions",
    "Embedder",
    "Entry",
    "Feedbacks",
    "Fetched",
    "Fetcher",
    "Holding",
    "Image",
    "Index",
    "IndexEraser",
    "IndexStatus",
    "IndexWriter",
    "IngestQueue",
    "Kin",
    "Notices",
    "Rates",
    "Removals",
    "Reranker",
    "Runs",
    "Scope",
    "Sketches",
    "Spendings",
    "Spent",
    "Usage",
    "Usages",
    "VersionsKept",
    "Wait",
    "Work",
]
