"""One endpoint that speaks OpenAI's wire protocol: its client, the one retry layer, and its errors in plain words.

The SDK's own retries are off. What is retried is what another try may mend (429, 5xx, no connection), with exponential
backoff and jitter or as `Retry-After` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ParamSpec, TypeVar

from loguru import logger
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, OpenAIError, Timeout
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

ATTEMPTS = 4
BACKOFF = 0.5
"""Seconds before the second try; doubled for each after it, at most 8, and up to 1 more at random."""
LONGEST_WAIT = 20.0
"""Seconds. A vendor that asks for more is taken to be down: someone is waiting for the answer."""
CONNECT_TIMEOUT = 5.0
FAILURES = (OpenAIError, ValueError)
"""What the SDK raises; a ValueError where a reply is not the JSON that it should be."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A vendor's client with our retries. `timeout` is in seconds: the longest silence, also within a stream."""

    client: AsyncOpenAI
    backoff: float = BACKOFF

    @classmethod
    def open(cls, base_url: str | None, api_key: str | None, timeout: float, backoff: float = BACKOFF) -> Endpoint:
        """Without `base_url` it is OpenAI's own; a local server often needs no key."""
        limits = Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
        client = AsyncOpenAI(api_key=api_key or "none", base_url=base_url, timeout=limits, max_retries=0)
        return cls(client, backoff)

    async def retried(self, call: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call until it succeeds or is not worth retrying. Tenacity awaits `call` only if it is an `async def`."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=self._pause,
            retry=retry_if_exception(worth_retrying),
            before_sleep=_log_retry,
            reraise=True,
        )
        return await retrying(call, *args, **kwargs)

    def _pause(self, state: RetryCallState) -> float:
        asked = retry_after(_failure(state))
        if asked is not None:
            return asked
        return wait_exponential_jitter(multiplier=self.backoff, max=8, jitter=2 * self.backoff)(state)


def worth_retrying(error: BaseException) -> bool:
    """Whether another try, soon, may succeed. A timeout is not retried: the wait has been long enough."""
    if isinstance(error, APIStatusError):
        passing = error.status_code == 429 or error.status_code >= 500
        return passing and error.code != "insufficient_quota" and (retry_after(error) or 0) <= LONGEST_WAIT
    return isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError)


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


def explain(error: Exception, subject: str) -> str:
    """Say in one sentence what failed and what to look at; nothing of the request or the reply is in it."""
    if isinstance(error, APITimeoutError):
        return f"{subject} did not answer in time."
    if isinstance(error, APIConnectionError):
        return f"{subject} cannot be reached: check OPENAI_BASE_URL and the network."
    if not isinstance(error, APIStatusError):
        return f"{subject} sent something that is not its protocol: check OPENAI_BASE_URL."
    match error.status_code:
        case 401 | 403:
            return f"{subject} refused the key: check OPENAI_API_KEY."
        case 404:
            return f"{subject} is unknown to the endpoint: check the model's name and OPENAI_BASE_URL."
        case 429:
            return f"{subject} is over its rate limit or quota."
        case status:
            return f"{subject} failed (HTTP {status})."


def _seconds_until(when: datetime) -> float:
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(state: RetryCallState) -> None:
    error = _failure(state)
    status = error.status_code if isinstance(error, APIStatusError) else None
    logger.bind(attempt=state.attempt_number, status=status).warning("model call retried")
