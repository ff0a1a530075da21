from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from backend.adapters.llm_answerer import LLMAnswerer, LLMRewriter
from backend.domain import Query, QueryVectors, Turn
from backend.ports import ChatMessage
from backend.prompts import Prompt, load_prompts
from backend.settings import PROJECT
from tests.fakes.story import TEAM, evidence_of, vector_of


@dataclass
class _LLM:
    pieces: Sequence[str]
    name: str = "model-1"
    closed: bool = False
    sent: list[list[ChatMessage]] = field(default_factory=list)

    async def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        self.sent.append(list(messages))
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.closed = True

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        self.sent.append(list(messages))
        return "".join(self.pieces)


def _prompt(prompt_id: str) -> Prompt:
    return load_prompts(PROJECT / "prompts").get(prompt_id)


async def test_the_llm_sees_the_question_and_the_numbered_sources_only() -> None:
    llm = _LLM(["One ", "two [1]."])
    answerer = LLMAnswerer(llm, _prompt("answer@v1"))
    vector = vector_of("x")
    draft = answerer.draft(
        "and then?", Query("What then?", TEAM), QueryVectors(vector, vector), evidence_of("A b.", "C d.")
    )
    assert [piece async for piece in draft] == ["One ", "two [1]."]
    (messages,) = llm.sent
    told = messages[-1].content
    assert "What then?" in told
    assert "[1] Guide" in told
    assert "C d." in told
    assert (answerer.model, answerer.prompt) == ("model-1", "answer@v1")


async def test_closing_the_draft_closes_the_call() -> None:
    llm = _LLM(["One ", "two"])
    vector = vector_of("x")
    draft = LLMAnswerer(llm, _prompt("answer@v1")).draft(
        "x", Query("x", TEAM), QueryVectors(vector, vector), evidence_of("A b.")
    )
    await anext(draft)
    await draft.aclose()  # type: ignore[attr-defined]  # it is an async generator
    assert llm.closed


async def test_a_rewrite_is_bare_text() -> None:
    llm = _LLM(['"How long is leave?"\n'])
    rewriter = LLMRewriter(llm, _prompt("understand@v1"))
    assert await rewriter.rewrite("and leave?", (Turn("user", "How long is notice?"),)) == "How long is leave?"
    assert "How long is notice?" in llm.sent[0][-1].content
