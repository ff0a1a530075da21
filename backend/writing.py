"""The part of the composition root that opens language models and what works with them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, get_args

from dotenv import dotenv_values
from yarl import URL

from backend.adapters.breaker import Breaker
from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.llm_answerer import LLMAnswerer, LLMReader
from backend.adapters.llm_compressor import LLMExtractor, LLMFilter
from backend.adapters.llm_expander import LLMHyde, LLMMultiQuery
from backend.adapters.llm_opinion import LLMSecondOpinion
from backend.adapters.rerank import HttpReranker
from backend.caches import Caches
from backend.models import Model, Role
from backend.ports import LLM, Compressor, Documents, Embedder, Index, Reranker, Runs
from backend.prompts import Prompts
from backend.query.compress import SentenceCompressor
from backend.query.expand import Expander
from backend.query.pipeline import Knobs, Pipeline
from backend.query.proposal import Reader
from backend.query.retrieve import NO_EXTRAS, Extras
from backend.settings import Settings, SettingsError
from backend.telemetry import Telemetry

if TYPE_CHECKING:
    from backend.adapters.openai import OpenAILLM

ANSWER = "answer"
READ = "understand"
VERIFY = "verify"
EXTRACT = "compress"
FILTER = "compress_filter"
HYDE = "hyde"
MULTI_QUERY = "multi_query"


@dataclass(frozen=True)
class Models:
    """The models that are configured, each opened once."""

    settings: Settings
    telemetry: Telemetry
    opened: Mapping[str, OpenAILLM] = field(default_factory=dict)
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    """One per endpoint: host, port and path."""

    def for_role(self, role: Role) -> LLM | None:
        """Return the models of a role as one, in their order of preference; None where there are none."""
        listed = [self.opened[model.name] for model in self.settings.models_for(role)]
        if not listed:
            return None
        from backend.adapters.llm_fallback import FallbackLLM

        return FallbackLLM([*(model.hurried() for model in listed[:-1]), listed[-1]], role, self.telemetry)


@asynccontextmanager
async def opened_models(settings: Settings, telemetry: Telemetry) -> AsyncIterator[Models]:
    """Open every model that a role asks for; they connect when first used. Models of one endpoint share a breaker.

    Raises:
        SettingsError: the variable that holds a key is not set.
    """
    wanted = {model.name: model for role in get_args(Role) for model in settings.models_for(role)}
    opened: dict[str, OpenAILLM] = {}
    breakers: dict[str, Breaker] = {}
    async with AsyncExitStack() as stack:
        for model in wanted.values():
            breaker = breakers.setdefault(_address(model), Breaker(_address(model), changed=telemetry.breaker))
            opened[model.name] = _opened(settings, model, breaker, telemetry)
            stack.push_async_callback(opened[model.name].close)
        for breaker in breakers.values():
            telemetry.breaker(breaker.name, breaker.state)
        for role in get_args(Role):
            for model in settings.models_for(role):
                telemetry.expect_model(model.name, [role])
        yield Models(settings, telemetry, opened, breakers)


def answers_with(settings: Settings) -> str:
    """Return who writes the answers, as it is told at start and by the health page."""
    return next((model.name for model in settings.models_for("answer")), "extractive")


def _opened(settings: Settings, model: Model, breaker: Breaker, telemetry: Telemetry) -> OpenAILLM:
    from backend.adapters.openai import OpenAILLM  # a second of importing that few need
    from backend.adapters.openai_endpoint import Endpoint

    listed = bool(settings.models)
    endpoint = Endpoint.open(
        model.base_url, key_of(model), model.timeout, breaker=breaker, listed=listed,
        on_retry=partial(telemetry.retried, model.name),
    )  # fmt: skip
    return OpenAILLM(endpoint, model, telemetry)


def key_of(model: Model) -> str | None:
    """Return a model's key: its own, or that of the variable it names, from the environment before `.env`."""
    if model.key is not None:
        return model.key.get_secret_value()
    if model.key_env is None:
        return None
    key = os.environ.get(model.key_env) or dotenv_values(".env").get(model.key_env)
    if not key:
        raise SettingsError(f"{model.key_env}: not set, but the model {model.name} of FOOTNOTE_MODELS needs it.")
    return key


def _address(model: Model) -> str:
    """Return what the breakers and metrics call an endpoint: its host and path, without what may be a secret in its
    URL. Behind one host there may be several servers, each with a path of its own."""
    url = URL(model.base_url or "https://api.openai.com/v1")
    return f"{url.host}:{url.port}{url.path.rstrip('/').removesuffix('/v1')}"


@asynccontextmanager
async def opened_pipeline(
    settings: Settings,
    models: Models,
    prompts: Prompts,
    index: Index,
    embedder: Embedder,
    documents: Documents,
    runs: Runs,
    caches: Caches,
) -> AsyncIterator[Pipeline]:
    """Put the query story together from what is open."""
    answer, reader, opinion = models.for_role("answer"), models.for_role("understand"), models.for_role("verify")
    async with AsyncExitStack() as stack:
        yield Pipeline(
            index=index,
            embedder=embedder,
            documents=documents,
            runs=runs,
            extractive=ExtractiveAnswerer(),
            answerers=_answerers(prompts, answer, settings.answer_prompt or prompts.current(ANSWER).id)
            if answer
            else (),
            reader=_reader(prompts, caches, reader) if reader else None,
            opinion=LLMSecondOpinion(opinion, prompts.current(VERIFY)) if opinion else None,
            compressor=_compressor(settings, prompts, models.for_role("compress")),
            answers=caches.of_answers(embedder, [opinion.name, prompts.current(VERIFY).hash] if opinion else []),
            extras=Extras(
                _expander(settings, prompts, models.for_role("understand")), await _reranker(settings, stack)
            ),
            knobs=Knobs(
                token_budget=settings.token_budget, answer_timeout=settings.answer_timeout, calls=settings.max_calls
            ),
        )


def _reader(prompts: Prompts, caches: Caches, llm: LLM) -> Reader:
    prompt = prompts.current(READ)
    return caches.remembering_readings(LLMReader(llm, prompt), llm.name, prompt.hash)


def _answerers(prompts: Prompts, llm: LLM, default: str) -> tuple[LLMAnswerer, ...]:
    """Return one answerer per version of the answer prompt, the default first."""
    first = prompts.get(default)
    others = [prompts.get(name) for name in prompts.ids() if name.startswith(f"{ANSWER}@") and name != default]
    return tuple(LLMAnswerer(llm, prompt) for prompt in (first, *others))


def _compressor(settings: Settings, prompts: Prompts, llm: LLM | None) -> Compressor:
    if llm is None or settings.compress == "sentences":
        return SentenceCompressor()
    if settings.compress == "llm-extract":
        return LLMExtractor(llm, prompts.current(EXTRACT))
    return LLMFilter(llm, prompts.current(FILTER))


def _expander(settings: Settings, prompts: Prompts, llm: LLM | None) -> Expander | None:
    if llm is None or settings.expand == "off":
        return None
    return (
        LLMHyde(llm, prompts.current(HYDE))
        if settings.expand == "hyde"
        else LLMMultiQuery(llm, prompts.current(MULTI_QUERY))
    )


async def _reranker(settings: Settings, stack: AsyncExitStack) -> Reranker | None:
    if settings.rerank_url is None:
        return None
    key = settings.rerank_key.get_secret_value() if settings.rerank_key else None
    reranker = HttpReranker(settings.rerank_url, settings.rerank_model, key, timeout=NO_EXTRAS.rerank_timeout)
    return await stack.enter_async_context(reranker)
