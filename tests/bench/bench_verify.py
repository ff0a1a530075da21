"""How long one sentence takes to verify: `python -m tests.bench.bench_verify`.

The passages are this repository's own pages with vectors drawn at random, eight at a time as in an answer. The first
sentence meets passages that nothing has read yet; the baseline is the share of words that the best sentence holds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from backend.domain import Extracted, Passage
from backend.ingest.split import split
from backend.query import facts, verify, words
from tests.bench.bench_index import unit_rows

PASSAGES = 8
CACHES = [
    one for module in (facts, verify, words) for one in vars(module).values() if hasattr(one, "cache_clear")
]  # fmt: skip


def passages() -> list[Passage]:
    """Return the passages of docs/ with a vector drawn for each sentence."""
    generator = np.random.default_rng(7)
    found = []
    for page in sorted(Path("docs").glob("*.md")):
        for chunk in split(Extracted(page.read_text(), page.stem), count_tokens=lambda text: len(text) // 4):
            found.append(
                Passage(
                    chunk_id=f"{page.stem}#{chunk.position}",
                    document_id=page.stem,
                    section_id=str(chunk.section),
                    position=chunk.position,
                    title=page.stem,
                    url="",
                    heading=chunk.heading,
                    text=chunk.text,
                    sentences=chunk.sentences,
                    sentence_vectors=unit_rows(generator, len(chunk.sentences)),
                )
            )
    return found


def overlap(text: str, evidence: Sequence[Passage]) -> float:
    """Return the best sentence's share of the words of `text`."""
    said = words.content_words(text)
    held = (words.content_words(one.text[start:end]) for one in evidence for start, end in one.sentences)
    return max((len(said & one) / max(1, len(said)) for one in held), default=0.0)


def p50(judge: Callable[[str, Sequence[Passage]], object], groups: Sequence[Sequence[Passage]], *, cold: bool) -> float:
    """Return the median milliseconds that a sentence of each group takes; `cold` empties every cache before it."""
    taken = []
    for group in groups:
        own = group[0].text[slice(*group[0].sentences[0])]
        judge(own, group)
        for number in range(3):
            for cache in CACHES if cold else ():
                cache.cache_clear()
            began = perf_counter()
            judge(f"{own} {'also ' * (number + 1)}", group)
            taken.append((perf_counter() - began) * 1e3)
    return statistics.median(taken)


def main() -> None:
    found = passages()
    groups = [found[at : at + PASSAGES] for at in range(0, len(found) - PASSAGES + 1, PASSAGES)]
    vector = unit_rows(np.random.default_rng(8), 1)[0]

    def ours(text: str, evidence: Sequence[Passage]) -> object:
        return verify.judge(text, vector, evidence)

    sentences = statistics.mean(sum(len(one.sentences) for one in group) for group in groups)
    print(f"{PASSAGES} passages, {sentences:.0f} sentences; milliseconds a sentence, median of {3 * len(groups)}")
    print(f"{'':16}{'ours':>8}{'overlap':>9}")
    for name, cold in (("first", True), ("further", False)):
        print(f"{name:16}{p50(ours, groups, cold=cold):>8.2f}{p50(overlap, groups, cold=cold):>9.2f}")


if __name__ == "__main__":
    main()
