"""One endpoint that speaks OpenAI's wire protocol: its client, the one retry layer, its breaker, and its errors in
plain words.

The SDK's own retries are off. What is retried is what another try may mend (408, 409, 429, 5xx, no connection), with
exponential backoff and jitter or as `Retry-After` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ParamSpec, TypeVar

from loguru import logger
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, OpenAIError, Timeout
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from backend.adapters.breaker import Breaker, CircuitOpen

ATTEMPTS = 4
BACKOFF = 0.5
"""Seconds before the second try; doubled for each after it, at most 8, and up to 1 more at random."""
LONGEST_WAIT = 20.0
"""Seconds. A vendor that asks for more is taken to be down: someone is waiting for the answer."""
HURRIED_ATTEMPTS, HURRIED_WAIT = 2, 2.0
"""The same where another model stands ready."""
CONNECT_TIMEOUT = 5.0
PASSING = frozenset({408, 409, 429})
"""Besides 5xx. 409 is what a server says whose model is being loaded, or that holds a lock."""
FAILURES = (OpenAIError, ValueError, TimeoutError, CircuitOpen)
"""What calling raises; a ValueError where a reply is not the JSON that it should be."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A vendor's client with our retries and a breaker. `listed` says that its address stands in FOOTNOTE_MODELS."""

    client: AsyncOpenAI
    backoff: float = BACKOFF
    breaker: Breaker = field(default_factory=Breaker)
    attempts: int = ATTEMPTS
    longest_wait: float = LONGEST_WAIT
    listed: bool = False
    on_retry: Callable[[], None] = lambda: None
    """Hears of each request that is made again."""

    @classmethod
    def open(
        cls,
        base_url: str | None,
        api_key: str | None,
        timeout: float,
        backoff: float = BACKOFF,
        *,
        breaker: Breaker | None = None,
        listed: bool = False,
        on_retry: Callable[[], None] = lambda: None,
    ) -> Endpoint:
        """Without `base_url` it is OpenAI's own; a local server often needs no key. `timeout` is the longest silence
        in seconds, also within a stream; callers may bound their calls more tightly."""
        limits = Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
        client = AsyncOpenAI(api_key=api_key or "none", base_url=base_url, timeout=limits, max_retries=0)
        return cls(client, backoff, breaker or Breaker(), listed=listed, on_retry=on_retry)

    def hurried(self) -> Endpoint:
        """Return the same endpoint, asked with less patience."""
        return replace(self, attempts=HURRIED_ATTEMPTS, longest_wait=HURRIED_WAIT)

    async def retried(self, call: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call until it succeeds or is not worth retrying. CircuitOpen where the endpoint is left alone."""

        async def guarded() -> R:
            with self.breaker.guarded(speaks_against):
                return await call(*args, **kwargs)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.attempts),
            wait=self._pause,
            retry=retry_if_exception(self._worth_retrying),
            before_sleep=self._note_retry,
            reraise=True,
        )
        return await retrying(guarded)

    def _note_retry(self, state: RetryCallState) -> None:
        logger.bind(attempt=state.attempt_number, status=status_of(_failure(state))).warning("model call retried")
        self.on_retry()

    def explain(self, error: Exception, subject: str) -> str:
        """Say in one sentence what failed and what to look at; nothing of the request or the reply is in it."""
        key, url = ("its key", "its base_url") if self.listed else ("OPENAI_API_KEY", "OPENAI_BASE_URL")
        if isinstance(error, CircuitOpen):
            return f"{subject} failed too often and is left alone; it is tried again in {error.seconds:.0f} s."
        if isinstance(error, APITimeoutError | TimeoutError):
            return f"{subject} did not answer in time."
        if isinstance(error, APIConnectionError):
            return f"{subject} cannot be reached: check {url} and the network."
        match status_of(error):
            case None:
                return f"{subject} sent something that is not its protocol: check {url}."
            case 401 | 403:
                return f"{subject} refused the key: check {key}."
            case 404:
                return f"{subject} is unknown to the endpoint: check the model's name and {url}."
            case 429:
                return f"{subject} is over its rate limit or quota."
            case status:
                return f"{subject} failed (HTTP {status})."

    def _worth_retrying(self, error: BaseException) -> bool:
        """Whether another try, soon, may succeed. A timeout is not retried: the wait has been long enough."""
        status = status_of(error)
        if status is not None:
            code = error.code if isinstance(error, APIError) else None
            passing = status in PASSING or status >= 500
            return passing and code != "insufficient_quota" and (retry_after(error) or 0) <= self.longest_wait
        return isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError)

    def _pause(self, state: RetryCallState) -> float:
        asked = retry_after(_failure(state))
        if asked is not None:
            return asked
        return wait_exponential_jitter(multiplier=self.backoff, max=8, jitter=2 * self.backoff)(state)


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of an error, or the one that it names where it came as an event of a stream."""
    if isinstance(error, APIStatusError):
        return error.status_code
    if type(error) is not APIError:
        return None
    code = error.body.get("code") if isinstance(error.body, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def speaks_against(error: BaseException) -> bool:
    """Whether an error says that the endpoint is down, or of no use now, rather than that it disliked one request."""
    status = status_of(error)
    if status is None:
        return isinstance(error, APIConnectionError | TimeoutError | ValueError)
    return status >= 500 or status in (401, 403, 408, 429)


def retry_after(error: BaseException | None) -> float | None:
    """Return the seconds that the vendor asks us to wait (RFC 9110 §10.2.3: a number or a date), if it does."""
    value = error.response.headers.get("retry-after") if isinstance(error, APIStatusError) else None
    if value is None:
        return None
    try:
        seconds = float(value) if value[:1].isdigit() else _seconds_until(parsedate_to_datetime(value))
    except ValueError:
        return None
    return max(0.0, seconds)


def _seconds_until(when: datetime) -> float:
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
