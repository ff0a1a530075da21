import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from backend.adapters.llm_opinion import LLMSecondOpinion
from backend.adapters.openai import OpenAILLM
from backend.errors import LLMUnavailable
from backend.prompts import load_prompts
from backend.query.opinion import second_opinion
from backend.settings import PROJECT
from tests.fakes.openai_server import Fault, openai_server

SENTENCE, QUOTES = "Leave is 20 weeks.", ["Employees get 20 weeks of leave."]


@dataclass
class _Opinion:
    says: bool | None = None
    stuck: bool = False
    fault: LLMUnavailable | None = None
    asked: list[str] = field(default_factory=list)

    async def supports(self, sentence: str, quotes: Sequence[str]) -> bool | None:
        self.asked.append(sentence)
        if self.stuck:
            await asyncio.Event().wait()
        if self.fault:
            raise self.fault
        return self.says


async def test_an_opinion_that_is_late_or_down_leaves_the_first_standing() -> None:
    for opinion in (_Opinion(stuck=True), _Opinion(fault=LLMUnavailable("down"))):
        assert await second_opinion(opinion, SENTENCE, QUOTES, deadline=0.02) is None
    assert await second_opinion(_Opinion(says=False), SENTENCE, QUOTES, deadline=1) is False


@pytest.mark.parametrize(
    ("reply", "said"), [("yes", True), ("**No**, it says 26.", False), ("perhaps", None), ("", None)]
)
async def test_the_llm_is_asked_for_one_word_about_fenced_text(reply: str, said: bool | None) -> None:
    seen: list[str] = []

    def script(messages: list[object]) -> list[str]:
        seen.extend(str(message) for message in messages)
        return [reply]

    prompt = load_prompts(PROJECT / "prompts").get("verify@v1")
    async with openai_server(script) as base_url:  # type: ignore[arg-type]
        llm = OpenAILLM.open(base_url, "key", "model-1", timeout=5)
        try:
            assert await LLMSecondOpinion(llm, prompt).supports(SENTENCE, QUOTES) is said
        finally:
            await llm.close()
    assert SENTENCE in seen[-1]
    assert QUOTES[0] in seen[-1]


async def test_a_vendor_that_refuses_is_unavailable() -> None:
    prompt = load_prompts(PROJECT / "prompts").get("verify@v1")
    async with openai_server(faults=[Fault(status=401)]) as base_url:
        llm = OpenAILLM.open(base_url, "key", "model-1", timeout=5)
        try:
            with pytest.raises(LLMUnavailable):
                await LLMSecondOpinion(llm, prompt).supports(SENTENCE, QUOTES)
        finally:
            await llm.close()
