"""The one exception tree.

    FootnoteError            status 500
    ├── BadInput             400  the caller can mend it; the message says how
    ├── Unauthorized         401
    ├── Forbidden            403
    ├── NotFound             404
    ├── Removed              409  a document was removed while an answer was drawing on it
    ├── TooLarge             413
    ├── LimitReached         429  the team has handed in as much as it may today; `retry_after` in seconds
    │   ├── TeamFull         413  the team has as many documents, or bytes of them, as it may have
    │   ├── TooFast          429  too many questions in a short time
    │   └── BudgetSpent      429  the model's tokens, or the money for them, are used up for today
    ├── IngestFailed         422  a document cannot be taken in; the message is the document's `reason`
    │   ├── FetchRefused          the URL is one that we do not fetch (scheme, private address, too many redirects)
    │   ├── FetchFailed           the URL cannot be had now; worth a retry when `retry`; `gone`: nothing is there
    │   └── Unreadable            fetched, but no text can be had from it
    ├── BackupFailed         500  a backup cannot be made, read or restored; the message says what to do
    └── Unavailable          503  a dependency is down; worth a retry
        ├── IndexUnavailable
        ├── DatabaseUnavailable
        ├── EmbedderUnavailable
        ├── LLMUnavailable
        │   └── LLMInterrupted    a model broke off in the middle of an answer; another one may be asked
        ├── RerankerUnavailable
        └── CacheUnavailable      never reaches a caller: the work goes on without it

Adapters translate their vendor's errors into these where the vendor is called. `str(error)` is a plain sentence that a
person can act on and never holds question or document text, secrets or a traceback.
"""

from __future__ import annotations


class FootnoteError(Exception):
    """Anything that Footnote itself raises. `status` is the HTTP status, `title` a short name for it."""

    status = 500
    title = "Something went wrong"


class BadInput(FootnoteError):
    status = 400
    title = "Bad input"


class Unauthorized(FootnoteError):
    status = 401
    title = "Unauthorized"


class Forbidden(FootnoteError):
    status = 403
    title = "Forbidden"


class NotFound(FootnoteError):
    status = 404
    title = "Not found"


class LimitReached(FootnoteError):
    status = 429
    title = "Limit reached"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TeamFull(LimitReached):
    status = 413
    title = "Team full"


class TooFast(LimitReached):
    title = "Too many questions"


class BudgetSpent(LimitReached):
    title = "Budget spent"


class Removed(FootnoteError):
    status = 409
    title = "Document removed"


class TooLarge(FootnoteError):
    status = 413
    title = "Too large"


class IngestFailed(FootnoteError):
    status = 422
    title = "Document not ingested"


class FetchRefused(IngestFailed):
    title = "URL refused"


class FetchFailed(IngestFailed):
    title = "URL not fetched"

    def __init__(self, message: str, *, retry: bool = False, gone: bool = False) -> None:
        super().__init__(message)
        self.retry = retry
        self.gone = gone


class Unreadable(IngestFailed):
    title = "Document not readable"


class BackupFailed(FootnoteError):
    title = "Backup failed"


class Unavailable(FootnoteError):
    status = 503
    title = "Unavailable"


class IndexUnavailable(Unavailable):
    title = "Index unavailable"


class DatabaseUnavailable(Unavailable):
    title = "Database unavailable"


class EmbedderUnavailable(Unavailable):
    title = "Embedder unavailable"


class LLMUnavailable(Unavailable):
    title = "LLM unavailable"


class LLMInterrupted(LLMUnavailable):
    title = "LLM interrupted"


class RerankerUnavailable(Unavailable):
    title = "Reranker unavailable"


class CacheUnavailable(Unavailable):
    title = "Cache unavailable"
