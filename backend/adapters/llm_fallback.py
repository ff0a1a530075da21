"""Several models as one: the first that can be had does the work."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from time import perf_counter
from typing import Protocol, cast

from loguru import logger

from backend.adapters.openai_bill import SILENT, Watch
from backend.errors import LLMInterrupted, LLMUnavailable
from backend.metering import current_meter
from backend.models import Role
from backend.ports import ChatMessage


class Asked(Protocol):
    """One model of several."""

    name: str

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]: ...

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str: ...

    def broke_off(self, error: BaseException | None) -> None: ...


class FallbackLLM:
    """ports.LLM in one role by models in order of preference. `name` is the first one's.

    A model that fails before its first word is passed over; one that breaks off later is not asked to write again in
    the same run.
    """

    def __init__(self, models: Sequence[Asked], role: Role, watch: Watch = SILENT) -> None:
        if not models:
            raise ValueError(f"no model for the role {role}")
        self.name = models[0].name
        self._models = tuple(models)
        self._role = role
        self._watch = watch

    async def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        meter = current_meter()
        meter.calls += 1
        failed: LLMUnavailable | None = None
        for model in [one for one in self._models if one.name not in meter.broken]:
            call = _Call(model, self._role, self._watch)
            stream = cast(AsyncGenerator[str, None], model.stream(messages, max_tokens=max_tokens))
            try:
                async with aclosing(stream) as pieces:
                    async for piece in pieces:
                        meter.wrote = meter.wrote if call.begun else model.name
                        call.begun = True
                        yield piece
                call.ended("ok")
                return
            except LLMUnavailable as error:
                failed = error
                call.failed(error)
                if call.begun:
                    meter.broken.add(model.name)
                    model.broke_off(error.__cause__)
                    raise LLMInterrupted(str(error)) from error
            finally:
                call.ended("hung_up")
        raise failed or LLMUnavailable("Every language model broke off its answer.")

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        current_meter().calls += 1
        failed: LLMUnavailable | None = None
        for model in self._models:
            call = _Call(model, self._role, self._watch)
            try:
                reply = await model.complete(messages, max_tokens=max_tokens, schema=schema)
                call.ended("ok")
            except LLMUnavailable as error:
                failed = error
                call.failed(error)
            else:
                return reply
            finally:
                call.ended("hung_up")
        raise failed or LLMUnavailable("There is no language model.")


class _Call:
    """One call as the metrics see it; only its first ending counts."""

    def __init__(self, model: Asked, role: Role, watch: Watch) -> None:
        self.begun = False
        self._model = model
        self._role = role
        self._watch = watch
        self._since = perf_counter()
        self._over = False

    def failed(self, error: LLMUnavailable) -> None:
        """Note a failure; the message of the error holds nothing of what was asked or said."""
        logger.bind(model=self._model.name, role=self._role, reason=str(error)).warning("model call failed")
        self.ended("interrupted" if self.begun else "failed")

    def ended(self, outcome: str) -> None:
        if not self._over:
            self._over = True
            self._watch.called(self._model.name, self._role, outcome, perf_counter() - self._since)
