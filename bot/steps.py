"""The task cards of a streamed answer: searching → reading → writing, each under way and then done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from backend.schema import Passage
from bot.blocks import counted, task_chunk
from bot.slack import Block

End: TypeAlias = Literal["complete", "error"]


class Steps:
    """Shows what is going on through `show`, which takes a `task_update` chunk. Each step begins once."""

    def __init__(self, show: Callable[[Block], None]) -> None:
        self._show = show
        self._cards: dict[str, Block] = {}

    def search(self) -> None:
        if "search" not in self._cards:
            self._put(task_chunk(None))

    def read(self, passages: Sequence[Passage]) -> None:
        """The search is over: what it found is being read."""
        self._put(task_chunk(passages))
        if passages:
            documents = counted(len({passage.document_id for passage in passages}), "document")
            self._put(card("read", f"Reading {documents}", "in_progress"))

    def write(self) -> None:
        if "write" not in self._cards:
            self.end("complete")
            self._put(card("write", "Writing the answer, checked against its quotes", "in_progress"))

    def end(self, status: End) -> None:
        """Bring everything that is under way to its end."""
        for task in list(self._cards.values()):
            if task["status"] == "in_progress":
                self._put(task | {"status": status})

    def _put(self, task: Block) -> None:
        self._cards[task["id"]] = task
        self._show(task)


def card(name: str, title: str, status: str) -> Block:
    return {"type": "task_update", "id": name, "title": title, "status": status}
