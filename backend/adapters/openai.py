"""Language models behind OpenAI's wire protocol, of OpenAI itself or of any server that speaks it (vLLM, Ollama,
llama.cpp …).

A stream is retried only until its first piece has been handed on.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Literal, TypeVar

from openai import BadRequestError, Omit, UnprocessableEntityError, omit
from openai.types.chat import ChatCompletion

from backend.adapters.openai_bill import SILENT, Bill, Watch
from backend.adapters.openai_endpoint import FAILURES, Endpoint, speaks_against
from backend.adapters.openai_reply import Reply, declined, too_long
from backend.errors import LLMUnavailable
from backend.models import Model
from backend.ports import ChatMessage
from backend.tracing import Attributes, Span, side_span

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam
    from openai.types.chat.completion_create_params import ResponseFormat

Option = Literal["stream_options", "max_tokens", "temperature", "response_format"]
OPTIONS: tuple[Option, ...] = ("stream_options", "max_tokens", "temperature", "response_format")
"""What some servers refuse, and an answer can be had without."""
_FENCED = re.compile(r"\s*```\w*\n(.*?)\n?```\s*\Z", re.DOTALL)

R = TypeVar("R")


class OpenAILLM:
    """ports.LLM over chat completions. An optional parameter that the endpoint refuses is not sent to it again."""

    def __init__(self, endpoint: Endpoint, model: Model, watch: Watch = SILENT) -> None:
        self.name = model.name
        self.model = model
        self._endpoint = endpoint
        self._watch = watch
        self._refused: set[Option] = set()

    @classmethod
    def open(cls, base_url: str | None, api_key: str | None, model: str, *, timeout: float) -> OpenAILLM:
        """Connects when first used. `timeout` is the longest that one call may take, in seconds."""
        return cls(Endpoint.open(base_url, api_key, timeout), Model(name=model, timeout=timeout, first_token=timeout))

    def hurried(self) -> OpenAILLM:
        """Return the same model, asked with less patience, as another one stands ready. It is closed with this one."""
        other = OpenAILLM(self._endpoint.hurried(), self.model, self._watch)
        other._refused = self._refused
        return other

    async def close(self) -> None:
        await self._endpoint.client.close()

    async def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        if not self.model.streaming:
            yield await self._whole(messages, max_tokens, None, may_be_cut=False)
            return
        ends = asyncio.get_running_loop().time() + self.model.timeout
        with self._spanned(max_tokens) as span:
            bill = Bill(self.model, self._watch, messages, span)
            try:
                async with asyncio.timeout_at(ends):
                    reply = await self._endpoint.retried(self._begin, messages, max_tokens, bill)
                async with reply.chunks:
                    async for piece in reply.pieces(ends, self.model.silence):
                        yield piece
            except FAILURES as error:
                raise self._unavailable(error) from error
            finally:
                bill.settle()

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        """`schema` must suit strict mode: every property required, `additionalProperties` false."""
        return await self._whole(messages, max_tokens, schema, may_be_cut=True)

    async def _whole(
        self, messages: Sequence[ChatMessage], max_tokens: int, schema: dict[str, object] | None, *, may_be_cut: bool
    ) -> str:
        with self._spanned(max_tokens) as span:
            bill = Bill(self.model, self._watch, messages, span)
            try:
                async with asyncio.timeout(self.model.timeout):
                    completion = await self._endpoint.retried(self._complete, messages, max_tokens, schema)
                text = self._text(completion, bill, may_be_cut=may_be_cut)
                return text if schema is None else _json_in(text, self.name)
            except FAILURES as error:
                raise self._unavailable(error) from error
            finally:
                bill.settle()

    def _spanned(self, max_tokens: int) -> AbstractContextManager[Span]:
        """Return a span of one request, named by OpenTelemetry's conventions for generative AI."""
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": self.model.wire_name,
            "gen_ai.request.max_tokens": max_tokens,
        }
        return side_span(f"chat {self.model.wire_name}", attributes, kind="client")

    async def _begin(self, messages: Sequence[ChatMessage], max_tokens: int, bill: Bill) -> Reply:
        """Open a stream and read up to its first piece, so that all that fails until then can be retried."""
        async with asyncio.timeout(self.model.first_token):
            chunks = await self._tolerated(
                lambda: self._endpoint.client.chat.completions.create(
                    model=self.model.wire_name,
                    messages=_wire(messages),
                    max_tokens=self._max_tokens(max_tokens),
                    max_completion_tokens=self._max_completion_tokens(max_tokens),
                    temperature=self._temperature(),
                    stream=True,
                    stream_options=omit if "stream_options" in self._refused else {"include_usage": True},
                )
            )
            reply = Reply(self.name, chunks, bill)
            async with AsyncExitStack() as undone:
                undone.push_async_callback(chunks.close)
                await reply.begin()
                undone.pop_all()
            return reply

    async def _complete(
        self, messages: Sequence[ChatMessage], max_tokens: int, schema: dict[str, object] | None
    ) -> ChatCompletion:
        return await self._tolerated(
            lambda: self._endpoint.client.chat.completions.create(
                model=self.model.wire_name,
                messages=_wire(messages),
                max_tokens=self._max_tokens(max_tokens),
                max_completion_tokens=self._max_completion_tokens(max_tokens),
                temperature=self._temperature(),
                response_format=self._response_format(schema),
            )
        )

    def _text(self, completion: ChatCompletion, bill: Bill, *, may_be_cut: bool) -> str:
        """Return what a completion says. LLMUnavailable where that is nothing that was asked for."""
        if not isinstance(completion, ChatCompletion) or not completion.choices:
            url = "its base_url" if self._endpoint.listed else "OPENAI_BASE_URL"
            raise LLMUnavailable(f"The reply of {self.name} is not a chat completion: check {url}.")
        choice = completion.choices[0]
        text = choice.message.content if choice.message else None
        bill.received(text or "", completion.usage)
        if choice.finish_reason == "content_filter" or (choice.message and choice.message.refusal):
            raise declined(self.name)
        if choice.finish_reason == "length" and not may_be_cut:
            raise too_long(self.name)
        return text or ""

    async def _tolerated(self, create: Callable[[], Awaitable[R]]) -> R:
        """Call; where the endpoint refuses an option that can be done without, call again without it."""
        while True:
            try:
                return await create()
            except (BadRequestError, UnprocessableEntityError) as error:
                option = refused_option(error)
                if option is None or option in self._refused:
                    raise
                self._refused.add(option)

    def _max_tokens(self, limit: int) -> int | Omit:
        """Deprecated by OpenAI, but the one name that every other server understands."""
        return omit if "max_tokens" in self._refused else limit

    def _max_completion_tokens(self, limit: int) -> int | Omit:
        return limit if "max_tokens" in self._refused else omit

    def _temperature(self) -> float | Omit:
        temperature = self.model.temperature
        return omit if temperature is None or "temperature" in self._refused else temperature

    def _response_format(self, schema: dict[str, object] | None) -> ResponseFormat | Omit:
        if schema is None or not self.model.json_schema or "response_format" in self._refused:
            return omit
        return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}

    def _unavailable(self, error: Exception) -> LLMUnavailable:
        return LLMUnavailable(self._endpoint.explain(error, f"The language model {self.name}"))

    def broke_off(self, error: BaseException | None) -> None:
        """Count a stream that failed after it had begun well against the endpoint."""
        if error is None or speaks_against(error):
            self._endpoint.breaker.failed()


def refused_option(error: BadRequestError | UnprocessableEntityError) -> Option | None:
    """Return which of our optional parameters an endpoint dislikes, by what it names or says; None if none."""
    if error.param in OPTIONS:
        return next(option for option in OPTIONS if option == error.param)
    return next((option for option in OPTIONS if option in error.message), None)


def _wire(messages: Sequence[ChatMessage]) -> list[ChatCompletionMessageParam]:
    return [_param(message) for message in messages]


def _param(message: ChatMessage) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "assistant":
            return {"role": "assistant", "content": message.content}
        case "user":
            return {"role": "user", "content": _parts(message) if message.images else message.content}


def _parts(message: ChatMessage) -> list[ChatCompletionContentPartParam]:
    parts: list[ChatCompletionContentPartParam] = [{"type": "text", "text": message.content}]
    for image in message.images:
        url = f"data:{image.media_type};base64,{base64.b64encode(image.content).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def _json_in(text: str, name: str) -> str:
    """Return the JSON of a reply, without the code fence that some models put around it."""
    fenced = _FENCED.match(text)
    text = fenced[1] if fenced else text
    try:
        json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise LLMUnavailable(f"The language model {name} did not answer in JSON.") from None
    return text
