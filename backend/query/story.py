"""What is known of one run while it is told: values the pipeline's stages hand to the next, and what each cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import Any

from backend.domain import Cached, Degraded, Evidence, Outcome, Passage, Query, QueryVectors, Question, Run, RunMetadata
from backend.metering import Meter
from backend.ports import Answerer
from backend.query.abstain import abstention, asking_back
from backend.query.cite import Citations, render
from backend.query.conflicts import Conflict, lead_in, touched
from backend.query.generate import Drafted
from backend.query.verify import Support

INTERRUPTED = "The model was interrupted here. What stands above is verified; ask again for the rest."


@dataclass(slots=True, eq=False)
class Story:
    """The state of one run. Only its pipeline writes to it; `run` makes the frozen trace."""

    run_id: str
    question: Question
    created_at: datetime
    query: Query
    vectors: QueryVectors | None = None
    found: tuple[Passage, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    meant: tuple[Passage, ...] = ()
    answerable: bool = False
    answer: str = ""
    outcome: Outcome = "answered"
    citations: Citations = field(default_factory=Citations)
    dropped: int = 0
    opinions: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    model: str = ""
    prompt: str = ""
    prompt_hash: str = ""
    cache: Cached = "miss"
    degraded: Degraded = ""
    meter: Meter = field(default_factory=Meter)
    times: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=perf_counter)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time of the block to `part`."""
        began = perf_counter()
        try:
            yield
        finally:
            self.spend(part, (perf_counter() - began) * 1000)

    def spend(self, part: str, milliseconds: float) -> None:
        """Add to the time of one part; `part` is the name of a field of RunMetadata."""
        self.times[part] = self.times.get(part, 0.0) + max(0.0, milliseconds)

    def writes_with(self, answerer: Answerer) -> None:
        """Note who writes the answer; where several models may, the meter learns which one did."""
        self.meter.wrote = ""
        self.model, self.prompt, self.prompt_hash = answerer.model, answerer.prompt, answerer.prompt_hash

    def cite(self, drafted: Drafted, supports: Sequence[Support]) -> str:
        """Add a verified sentence to the answer; return it as it is shown. The first that quotes a side of a conflict
        is introduced as such."""
        self.citations, numbers = self.citations.cite(supports, self.evidence)
        text = render(drafted, numbers)
        if conflict := touched(self.conflicts, self.evidence, supports):
            self.conflicts = ()
            text = f"\n\n{lead_in(conflict, self.evidence)}\n\n{text.lstrip()}"
        text = text if self.answer else text.lstrip()
        self.answer += text
        return text

    def said(self, text: str) -> str:
        """Add a piece of an answer that was verified when it was written; return it."""
        self.answer += text
        return text

    def interrupt(self) -> str:
        """End an answer where its model failed; return what is said about it."""
        self.degraded = "interrupted"
        return self.said(f"\n\n{INTERRUPTED}")

    def abstain(self) -> None:
        """End without an answer: ask which document is meant, or name those that come nearest."""
        self.outcome = "abstained"
        nearest = (one.passage for one in self.evidence)
        self.answer = asking_back(self.meant) if self.meant else abstention(nearest)

    def measured(self) -> RunMetadata:
        """Return what the run has cost so far."""
        costs = RunMetadata(
            total_ms=(perf_counter() - self.began) * 1000,
            tokens_before=self.tokens_before,
            tokens_after=self.tokens_after,
            dropped_sentences=self.dropped,
            prompt=self.prompt,
            prompt_hash=self.prompt_hash,
            model=self.meter.wrote or self.model or "extractive",
            calls=self.meter.calls,
            tokens_in=self.meter.tokens_in,
            tokens_out=self.meter.tokens_out,
            cost=round(self.meter.cost, 8),
            degraded=self.degraded,
            cache=self.cache,
        )
        times: Any = self.times  # the keys are names of fields
        return replace(costs, **times)

    def run(self, outcome: Outcome, *, error: str = "") -> Run:
        """Return the trace as it stands."""
        return Run(
            run_id=self.run_id,
            question=self.question,
            outcome=outcome,
            query=self.query,
            passages=tuple(one.passage for one in self.evidence),
            answer=self.answer,
            citations=self.citations.listed(),
            metadata=self.measured(),
            created_at=self.created_at,
            error=error,
        )
