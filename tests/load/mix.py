"""What people do with Footnote in a day, as a stream of actions. Pure, and of the standard library alone: locust, which
runs in an environment of its own, imports it.

Questions are asked as often as their rank says (Zipf's law, exponent 1): a few are asked all the time, most once. One
question in eight names a number that nobody asked for before, so that caches do not answer everything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["ask", "ask streamed", "search", "rate", "ingest", "list"]

SHARES: dict[Kind, int] = {"ask": 20, "ask streamed": 45, "search": 15, "rate": 10, "ingest": 3, "list": 7}
"""In a hundred actions."""
TOPICS = (
    "parental leave", "travel expenses", "parking", "home office", "laptop replacement", "sick notes", "bicycles",
    "training budget", "visitor badges", "meeting rooms", "overtime", "probation", "pension", "security training",
    "on-call duty", "code review", "release process", "incident reports", "data retention", "vendor contracts",
)  # fmt: skip
SITES = ("Berlin", "Lisbon", "Oslo", "Graz", "Ghent", "Turin", "Malmo", "Riga", "Porto", "Lyon")
FRESH = 1 / 8
USERS = 400


@dataclass(frozen=True)
class Action:
    """`words` is the question, or the number of a document to hand in."""

    kind: Kind
    user: str
    words: str = ""


def document(number: int) -> dict[str, str]:
    """Return one of the handbook's pages: a topic at a site, some 250 words."""
    topic, site = TOPICS[number % len(TOPICS)], SITES[number // len(TOPICS) % len(SITES)]
    days, euros = 3 + number * 7 % 29, 100 + number * 37 % 1900
    sections = [
        f"# {topic.capitalize()} in {site}",
        f"Everyone in {site} may ask for {topic} up to {days} days before. The limit is {euros} euros a year.",
        "## How to ask",
        f"Write to the office in {site} and name the project. An answer comes within {days % 5 + 1} working days. ",
        "## Exceptions",
        f"Exceptions for {topic} are decided by the head of the site. They are noted in register {number + 1000}.",
    ]
    filler = f"The rules for {topic} were last read over by the works council of {site}, which meets every quarter. "
    return {
        "id": f"page-{number}",
        "title": f"{topic.capitalize()}, {site}",
        "text": "\n\n".join(sections) + filler * 6,
    }


def question(number: int) -> str:
    """Return a question that page `number` answers."""
    topic, site = TOPICS[number % len(TOPICS)], SITES[number // len(TOPICS) % len(SITES)]
    forms = (
        f"What is the yearly limit for {topic} in {site}?",
        f"How many days before must I ask for {topic} in {site}?",
        f"Who decides about exceptions for {topic} in {site}?",
    )
    return forms[number % len(forms)]


def actions(seed: int, pages: int) -> Iterator[Action]:
    """Yield what people do, for ever; the same for the same seed."""
    chance = random.Random(seed)
    kinds, weights = list(SHARES), list(accumulate(SHARES.values()))
    ranks = list(accumulate(1 / rank for rank in range(1, pages + 1)))
    while True:
        (kind,) = chance.choices(kinds, cum_weights=weights)
        (page,) = chance.choices(range(pages), cum_weights=ranks)
        asked = question(page)
        if chance.random() < FRESH:
            asked = f"{asked} I ask for case {chance.randrange(10**9)}."
        words = str(chance.randrange(pages, 2 * pages)) if kind == "ingest" else asked
        yield Action(kind, f"U{chance.randrange(USERS)}", words)
