"""Models: settings, breakers, fallbacks, what they cost, and that no test can reach a live one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from pytest_socket import SocketConnectBlockedError

from backend.adapters.breaker import FAILURES, LONGEST_PAUSE, PAUSE, Breaker, CircuitOpen
from backend.adapters.llm_fallback import FallbackLLM
from backend.adapters.openai import OpenAILLM
from backend.adapters.openai_endpoint import Endpoint
from backend.errors import LLMInterrupted, LLMUnavailable
from backend.metering import Meter, current_meter, metered
from backend.models import Model
from backend.ports import ChatMessage, Image
from backend.settings import Settings, SettingsError, load_settings
from backend.telemetry import State, Telemetry
from backend.writing import key_of, opened_models
from tests.fakes.openai_server import Fault, Journal, Script, echo, openai_server

ASK = [ChatMessage("user", "say two weeks")]


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]


# --------------------------------------------------------------------------------------------------------- settings


def test_a_list_of_models_is_read_from_json_or_yaml_with_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTNOTE_MODELS", '[{"name": "big"}, {"name": "small", "vision": true}, {"name": "spare"}]')
    monkeypatch.setenv("FOOTNOTE_MODEL_ROLES", "{understand: [small, big]}")
    read = load_settings()
    assert [model.name for model in read.models_for("answer")] == ["big", "small", "spare"]
    assert [model.name for model in read.models_for("understand")] == ["small", "big"]
    assert [model.name for model in read.models_for("caption")] == ["small"]
    assert {model.temperature for model in read.models} == {0}


@pytest.mark.parametrize(
    ("models", "roles", "said"),
    [
        ("[{name: a, prize: 1}]", "", "FOOTNOTE_MODELS: 0: prize"),
        ("[{name: a}, {name: a}]", "", "FOOTNOTE_MODELS: there are two models called a"),
        ("[{name: a, key: sk-secret", "", "FOOTNOTE_MODELS: must be JSON or YAML"),
        ("[{name: a}]", "{answer: [b]}", "FOOTNOTE_MODEL_ROLES: there is no model b"),
        ("[{name: a}]", "{caption: [a]}", "FOOTNOTE_MODEL_ROLES: caption: the model a is not marked with vision"),
    ],
)
def test_a_list_that_is_wrong_names_its_variable_and_never_the_key(
    models: str, roles: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTNOTE_MODELS", models)
    monkeypatch.setenv("FOOTNOTE_MODEL_ROLES", roles)
    with pytest.raises(SettingsError, match=said.replace("[", r"\[")) as raised:
        load_settings()
    assert "sk-secret" not in str(raised.value)


def test_the_three_variables_are_a_list_of_one_model() -> None:
    (model,) = settings(OPENAI_API_KEY="sk", OPENAI_MODEL="m", llm_timeout=7).models_for("answer")
    assert (model.name, model.wire_name, model.timeout, model.first_token) == ("m", "m", 7, 7)
    assert settings().models_for("answer") == ()


def test_a_key_is_read_from_the_variable_that_the_model_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-1")
    assert key_of(Model(name="a", key_env="OTHER_KEY")) == "sk-1"
    with pytest.raises(SettingsError, match="NO_SUCH_KEY: not set"):
        key_of(Model(name="a", key_env="NO_SUCH_KEY"))


# ---------------------------------------------------------------------------------------------------------- breaker


async def test_models_share_a_breaker_where_they_share_an_endpoint_and_that_is_its_path_too() -> None:
    listed = [
        {"name": "a", "base_url": "https://me:secret@gate.example/one/v1?key=secret"},
        {"name": "b", "base_url": "https://gate.example/one/v1/"},
        {"name": "c", "base_url": "https://gate.example/two/v1"},
        {"name": "d"},
    ]
    async with opened_models(settings(models=listed), Telemetry()) as models:
        assert sorted(models.breakers) == ["api.openai.com:443", "gate.example:443/one", "gate.example:443/two"]


@dataclass
class _Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def _fail(breaker: Breaker) -> None:
    with pytest.raises(RuntimeError), breaker.guarded(lambda error: True):
        raise RuntimeError


def _succeed(breaker: Breaker) -> None:
    with breaker.guarded(lambda error: True):
        pass


def test_a_breaker_opens_after_failures_in_a_row_and_closes_after_a_trial() -> None:
    clock, heard = _Clock(), list[str]()
    breaker = Breaker("api", clock, lambda name, state: heard.append(state))
    for _ in range(FAILURES - 1):
        _fail(breaker)
    _succeed(breaker)
    for _ in range(FAILURES):
        assert breaker.state == "closed"
        _fail(breaker)
    with pytest.raises(CircuitOpen), breaker.guarded(lambda error: True):
        pass
    clock.now += PAUSE
    _fail(breaker)
    clock.now += PAUSE
    with pytest.raises(CircuitOpen), breaker.guarded(lambda error: True):
        pass  # the pause has doubled
    clock.now += PAUSE
    _succeed(breaker)
    assert heard == ["open", "half-open", "open", "half-open", "closed"]


def test_only_one_trial_is_made_at_a_time_and_one_that_is_cancelled_teaches_nothing() -> None:
    clock = _Clock()
    breaker = Breaker("api", clock)
    for _ in range(FAILURES):
        _fail(breaker)
    clock.now += LONGEST_PAUSE
    with suppress(asyncio.CancelledError), breaker.guarded(lambda error: True):
        assert not breaker.closed
        raise asyncio.CancelledError
    assert breaker.closed
    _succeed(breaker)
    assert breaker.state == "closed"


def test_a_request_that_is_disliked_says_nothing_of_the_endpoint() -> None:
    breaker = Breaker("api")
    for _ in range(3 * FAILURES):
        with pytest.raises(ValueError, match="bad"), breaker.guarded(lambda error: False):
            raise ValueError("bad")
    assert breaker.state == "closed"


# -------------------------------------------------------------------------------------------- calls, over real HTTP


@dataclass
class _Watch:
    spendings: list[tuple[str, int, int, float]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def spent(self, model: str, tokens_in: int, tokens_out: int, cost: float) -> None:
        self.spendings.append((model, tokens_in, tokens_out, cost))

    def called(self, model: str, role: str, outcome: str, seconds: float) -> None:
        self.calls.append((model, outcome))

    def breaker(self, endpoint: str, state: str) -> None: ...


@asynccontextmanager
async def model(
    script: Script = echo,
    *,
    name: str = "main",
    watch: _Watch | None = None,
    faults: Sequence[Fault | None] = (),
    journal: Journal | None = None,
    usage: tuple[int, int] | None = None,
    refuses: Sequence[str] = (),
    **traits: object,
) -> AsyncIterator[OpenAILLM]:
    async with openai_server(script, faults=faults, journal=journal, usage=usage, refuses=refuses) as url:
        spec = Model.model_validate({"name": name, "price_in": 2.0, "price_out": 10.0, "silence": 2} | traits)
        llm = OpenAILLM(Endpoint.open(url, "key", 5, 0.001), spec, watch or _Watch())
        try:
            yield llm
        finally:
            await llm.close()


async def _streamed(llm: OpenAILLM | FallbackLLM) -> str:
    return "".join([piece async for piece in llm.stream(ASK, max_tokens=50)])


async def test_the_providers_count_is_priced_and_put_on_the_meter_of_the_run() -> None:
    watch, meter = _Watch(), Meter()
    async with model(usage=(1000, 200), watch=watch) as llm:
        with metered(meter):
            await _streamed(llm)
            await llm.complete(ASK, max_tokens=9)
    assert (meter.tokens_in, meter.tokens_out, round(meter.cost, 6)) == (2000, 400, 0.008)
    assert watch.spendings == [("main", 1000, 200, 0.004)] * 2


async def test_without_the_providers_count_tokens_are_estimated_also_of_a_stream_that_breaks_off() -> None:
    meter = Meter()
    async with model(faults=[None, Fault(then="cut", pieces=2)]) as llm:
        with metered(meter):
            await _streamed(llm)
            assert (meter.tokens_in, meter.tokens_out) == (3, 3)
            with pytest.raises(LLMUnavailable):
                await _streamed(llm)
    assert (meter.tokens_in, meter.tokens_out) == (6, 5)


async def test_a_refused_request_costs_nothing() -> None:
    meter = Meter()
    async with model(faults=[Fault(401)]) as llm:
        with metered(meter), pytest.raises(LLMUnavailable):
            await _streamed(llm)
    assert (meter.tokens_in, meter.cost) == (0, 0)


@pytest.mark.parametrize("option", ["stream_options", "temperature", "max_tokens"])
async def test_an_optional_parameter_that_a_server_refuses_is_not_sent_to_it_again(option: str) -> None:
    journal = Journal()
    async with model(refuses=[option], journal=journal) as llm:
        assert await _streamed(llm) == await llm.hurried().complete(ASK, max_tokens=9) == "say two weeks "
    assert [option in body for body in journal.bodies] == [True, False, False]
    assert ("max_completion_tokens" in journal.bodies[-1]) == (option == "max_tokens")


async def test_a_server_without_schemas_or_streams_is_asked_without_them() -> None:
    journal = Journal()
    async with model(lambda _: ['```json\n{"a": 1}\n```'], journal=journal, json_schema=False, streaming=False) as llm:
        assert await llm.complete(ASK, max_tokens=9, schema={}) == '{"a": 1}'
        assert await _streamed(llm) == '```json\n{"a": 1}\n```'
    assert [set(body) & {"response_format", "stream"} for body in journal.bodies] == [set(), set()]


async def test_an_image_is_sent_beside_the_text() -> None:
    journal = Journal()
    async with model(journal=journal) as llm:
        await llm.complete([ChatMessage("user", "what?", (Image("image/png", b"\x89P"),))], max_tokens=9)
    assert "{'type': 'image_url', 'image_url': {'url': 'data:image/png;base64,iVA='}}" in str(journal.bodies[0])


@pytest.mark.parametrize("then", ["refuse", "content_filter", "length", "malformed", "error"])
async def test_a_stream_that_ends_badly_is_an_error(then: str) -> None:
    async with model(faults=[Fault(then=then, pieces=1)] * 4) as llm:
        with pytest.raises(LLMUnavailable):
            await _streamed(llm)


@pytest.mark.parametrize("then", ["refuse", "content_filter", "malformed", "cut"])
async def test_a_completion_that_ends_badly_is_an_error(then: str) -> None:
    async with model(faults=[Fault(then=then)] * 4) as llm:
        with pytest.raises(LLMUnavailable):
            await llm.complete(ASK, max_tokens=9)


async def test_an_endpoint_that_keeps_failing_is_left_alone() -> None:
    journal = Journal()
    async with model(faults=[Fault(500)] * 99, journal=journal) as llm:
        for _ in range(4):
            with pytest.raises(LLMUnavailable):
                await _streamed(llm)
        with pytest.raises(LLMUnavailable, match="left alone; it is tried again in"):
            await llm.complete(ASK, max_tokens=9)
    assert len(journal.bodies) == FAILURES


# -------------------------------------------------------------------------------------------------------- fallbacks


@asynccontextmanager
async def two(watch: _Watch, *faults: Fault | None) -> AsyncIterator[FallbackLLM]:
    async with AsyncExitStack() as stack:
        main = await stack.enter_async_context(model(faults=faults))
        spare = await stack.enter_async_context(model(lambda _: ["from the spare"], name="spare"))
        yield FallbackLLM([main.hurried(), spare], "answer", watch)


async def test_the_next_model_writes_where_the_first_cannot_be_had() -> None:
    watch = _Watch()
    async with two(watch, Fault(401), Fault(401)) as llm:
        with metered(Meter()) as meter:
            assert await _streamed(llm) == "from the spare"
            assert await llm.complete(ASK, max_tokens=9) == "from the spare"
    assert (meter.calls, meter.wrote) == (2, "spare")
    assert watch.calls == [("main", "failed"), ("spare", "ok")] * 2


async def test_a_model_that_breaks_off_is_not_asked_to_write_again_in_the_run() -> None:
    watch = _Watch()
    async with two(watch, Fault(then="cut", pieces=1)) as llm:
        with metered(Meter()):
            with pytest.raises(LLMInterrupted):
                await _streamed(llm)
            assert await _streamed(llm) == "from the spare"
        assert await _streamed(llm) == "say two weeks "
    assert watch.calls == [("main", "interrupted"), ("spare", "ok"), ("main", "ok")]


async def test_hanging_up_is_no_failure_of_a_model() -> None:
    watch = _Watch()
    async with two(watch, Fault(then="stall", pieces=1)) as llm:
        stream = llm.stream(ASK, max_tokens=9)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
    assert watch.calls == [("main", "hung_up")]


async def test_models_are_opened_from_settings_with_their_figures() -> None:
    telemetry = Telemetry()
    async with openai_server(usage=(10, 5)) as url:
        listed = [{"name": "m", "base_url": url, "price_out": 1}]
        async with opened_models(settings(models=listed), telemetry) as models:
            llm = models.for_role("answer")
            assert llm is not None
            assert await llm.complete(ASK, max_tokens=9) == "say two weeks "
            assert models.for_role("caption") is None
    shown = telemetry.render(State({}, None, 0)).decode()
    for line in (
        'footnote_llm_calls_total{model="m",outcome="ok",role="answer"} 1.0',
        'footnote_llm_tokens_total{model="m",way="in"} 10.0',
        'footnote_llm_cost_total{model="m"} 5e-06',
        'state="closed"} 1.0',
    ):
        assert line in shown


async def test_calls_outside_of_a_run_are_counted_for_nobody() -> None:
    assert current_meter() is not current_meter()


# ------------------------------------------------------------------------------------------------------ no live model


def test_no_test_can_reach_anything_but_loopback() -> None:
    with socket.socket() as opened, pytest.raises(SocketConnectBlockedError):
        opened.connect(("192.0.2.1", 443))


async def test_no_test_can_ask_a_live_model() -> None:
    llm = OpenAILLM(Endpoint.open("https://192.0.2.1/v1", "sk", 1, 0.001), Model(name="live", timeout=1))
    with pytest.raises(ExceptionGroup) as raised:
        await _streamed(llm)
    assert raised.group_contains(SocketConnectBlockedError)
    await llm.close()
