"""What one request to a model used: as its provider counts, or estimated where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openai.types import CompletionUsage

from backend.metering import current_meter
from backend.models import Model
from backend.ports import ChatMessage
from backend.query.tokens import estimate_tokens
from backend.tracing import Span

IMAGE_TOKENS = 800
"""An image, where nobody counts: about what a picture of 1,024 × 768 takes in the published rules of providers."""


class Watch(Protocol):
    """Who hears of what models use and how their calls end: the metrics."""

    def spent(self, model: str, tokens_in: int, tokens_out: int, cost: float) -> None: ...

    def called(self, model: str, role: str, outcome: str, seconds: float) -> None:
        """`outcome` is ok, failed (before its first word), interrupted (after it) or hung_up."""

    def breaker(self, endpoint: str, state: str) -> None:
        """`state` is closed, half-open or open."""


class _Silent:
    def spent(self, model: str, tokens_in: int, tokens_out: int, cost: float) -> None: ...
    def called(self, model: str, role: str, outcome: str, seconds: float) -> None: ...
    def breaker(self, endpoint: str, state: str) -> None: ...


SILENT: Watch = _Silent()


class Bill:
    """The account of one request, put on the meter of the run that it was begun in."""

    def __init__(self, model: Model, watch: Watch, messages: Sequence[ChatMessage], span: Span) -> None:
        self._model = model
        self._watch = watch
        self._messages = messages
        self._span = span
        self._meter = current_meter()
        self._texts: list[str] = []
        self._usage: CompletionUsage | None = None

    def received(self, text: str, usage: CompletionUsage | None = None) -> None:
        """Note a piece of the reply, and the provider's count where it came with it."""
        if text:
            self._texts.append(text)
        if usage is not None and isinstance(usage.prompt_tokens, int) and usage.prompt_tokens > 0:
            self._usage = usage

    def settle(self) -> None:
        """Put it on the account. A request that brought nothing costs nothing."""
        if self._usage is None and not self._texts:
            return
        tokens_in, tokens_out = self._counted()
        cost = self._model.cost(tokens_in, tokens_out)
        self._meter.spend(tokens_in, tokens_out, cost)
        self._watch.spent(self._model.name, tokens_in, tokens_out, cost)
        self._span.note({"gen_ai.usage.input_tokens": tokens_in, "gen_ai.usage.output_tokens": tokens_out})

    def _counted(self) -> tuple[int, int]:
        if self._usage is not None:
            return self._usage.prompt_tokens, self._usage.completion_tokens or 0
        images = sum(len(message.images) for message in self._messages)
        sent = sum(estimate_tokens(message.content) for message in self._messages)
        return sent + IMAGE_TOKENS * images, estimate_tokens("".join(self._texts))
