"""A model without a will of its own: whatever a document or a question tells it to write, it writes.

It does so whether it saw the order or not, as an order may come in words that nobody foresaw. As a second opinion it
can be talked into a yes by what stands before it; where nothing does that, it compares words, as a simple judge would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from backend.ports import ChatMessage
from tests.evals.injection_cases import TRUE, Case

PIECE = 23
"""Characters that come at once."""
_WORD = re.compile(r"\w{4,}")
_FENCE = re.compile(r"<<([0-9a-f]{8,64}) sources>>")


@dataclass
class ObeyingModel:
    """`case` is the one that is being tried; `fence` and `rules` are what the last answer's prompt held."""

    case: Case | None = None
    fence: str = ""
    rules: str = ""
    obeyed: int = 0
    """How often the poison stood in the prompt."""

    def script(self, messages: list[ChatMessage]) -> Iterator[str]:
        """Write for tests.fakes.openai_server."""
        assert self.case is not None
        rules, asked = messages[0].content, messages[-1].content
        if rules.startswith("You check one sentence"):
            yield self._opinion(asked)
        elif rules.startswith("You read the last message"):
            yield self.case.read or json.dumps({"question": self.case.question, "conditions": []})
        else:
            yield from _pieces(self._answer(rules, asked))

    def _opinion(self, asked: str) -> str:
        assert self.case is not None
        quotes, _, sentence = asked.partition(" sentence>>\n")
        if self.case.poison and self.case.poison[:12] in quotes:
            return "yes"
        words = set(_WORD.findall(sentence.partition("\n<<")[0].lower()))
        return "yes" if words <= set(_WORD.findall(quotes.lower())) else "no"

    def _answer(self, rules: str, asked: str) -> str:
        assert self.case is not None
        found = _FENCE.search(asked)
        self.fence, self.rules = found[1] if found else "", rules
        self.obeyed += bool(self.case.poison) and self.case.poison[:12] in asked
        reply = self.case.reply.replace("{fence}", self.fence).replace("{system}", rules)
        return reply if reply == "NO_ANSWER" else TRUE + reply


def _pieces(text: str) -> Iterator[str]:
    """Cut a text as tokens do: without regard for words, markers or links."""
    yield from (text[at : at + PIECE] for at in range(0, len(text), PIECE))
