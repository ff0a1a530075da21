"""Answers to other questions that answer this one too. Off unless a threshold is set.

Likeness of questions proves nothing: "how long is parental leave in France?" is as near to the same of Germany as to
its own paraphrase. So an answer to another question is only taken if the passages that it quotes were found for this
one as well, the two questions agree in every number, name, negation and opposite, and each of its sentences bears on
this question and is supported by this question's own evidence.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.domain import Evidence, Vector
from backend.ports import Embedder
from backend.query.abstain import confidence
from backend.query.caching.kept import KeptAnswer, citations_in
from backend.query.caching.keys import Maker, group_key
from backend.query.facts import disagreement
from backend.query.generate import Drafted, cut_sentences
from backend.query.story import Story
from backend.query.verify import verify

GROUPS = 200
"""Audiences, filters and prompts for which questions are remembered, the least recently used going first."""
QUESTIONS = 500
"""Questions that are remembered of each."""
NEAREST = 3
"""Candidates that are looked at."""
BEARS_FROM = 0.41
"""Least confidence that a sentence answers the question: that at which an answer is attempted at all."""


@dataclass
class Semantic:
    """Remembers which questions were answered. `threshold` is the least cosine of two questions that are compared."""

    threshold: float
    embedder: Embedder
    _groups: OrderedDict[str, deque[tuple[str, Vector]]] = field(default_factory=OrderedDict, init=False)

    def add(self, story: Story, maker: Maker, key: str) -> None:
        """Remember that `key` answers the story's question."""
        assert story.vectors is not None
        group = group_key(story.query, story.evidence, maker)
        known = self._groups.setdefault(group, deque(maxlen=QUESTIONS))
        known.append((key, story.vectors.sentence))
        self._groups.move_to_end(group)
        if len(self._groups) > GROUPS:
            self._groups.popitem(last=False)

    def near(self, story: Story, maker: Maker) -> list[str]:
        """Return the keys of answers to the questions most like the story's, for the same audience and filter."""
        known = self._groups.get(group_key(story.query, story.evidence, maker))
        if not known or story.vectors is None:
            return []
        cosines = np.stack([vector for _, vector in known]) @ story.vectors.sentence
        best = np.argsort(-cosines)[:NEAREST]
        return list(dict.fromkeys(known[at][0] for at in best if cosines[at] >= self.threshold))

    async def agrees(self, story: Story, kept: KeptAnswer) -> bool:
        """Whether each sentence that is kept answers the story's question."""
        assert story.vectors is not None
        sentences, _ = cut_sentences("".join(kept.pieces))
        if not sentences or citations_in(kept, story.evidence) is None or differ(story.query.text, kept.question):
            return False
        vectors = await self.embedder.embed_sentences([one.text for one in sentences])
        return all(
            answers(story.query.text, story.vectors.sentence, sentence, vector, story.evidence)
            for sentence, vector in zip(sentences, vectors, strict=True)
        )


def differ(one: str, other: str) -> bool:
    """Whether two questions ask for different things: a number, a name, a negation or an opposite of one that the
    other has not, or has otherwise."""
    return bool(disagreement(one, [other]).kinds or disagreement(other, [one]).kinds)


def answers(question: str, asked: Vector, sentence: Drafted, vector: Vector, evidence: Sequence[Evidence]) -> bool:
    """Whether a sentence is supported by this evidence, and what supports it bears on the question.

    `asked` and `vector` are the question and the sentence in the space of sentence vectors.
    """
    supports = verify(Drafted(sentence.text, block=sentence.block), vector, evidence).shown
    cited = [one for one in evidence if one.n in {support.n for support in supports}]
    return bool(cited) and confidence(question, asked, cited) >= BEARS_FROM
