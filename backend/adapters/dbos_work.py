"""What the queue calls a piece of work, and how its workflows are named: one by its work, several by their number.

The name of one piece of work is the workflow's id, so enqueueing it twice is enqueueing it once, in all processes.
Pieces that were enqueued in one go share a workflow, because its record costs as much as embedding a page: they are in
its input, and how many they are is in its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias
from uuid import uuid4

from dbos import WorkflowStatus

from backend.ports import Work

Named: TypeAlias = tuple[str, str, str, str]
"""A piece of work with the span that asked for it, "" where there is none."""
GROUP = "/"
"""How the ids of groups begin, and no name of a piece of work: a team's id is not empty."""


def workflow_id(works: Sequence[Named]) -> str:
    """Return the id under which these are enqueued."""
    return name_of(works[0][:3]) if len(works) == 1 else f"{GROUP}{len(works)}/{uuid4().hex}"


def name_of(work: Work) -> str:
    """Return the workflow's id: neither a team nor an attempt has a slash in it, so this can be read back."""
    return "/".join(work)


def work_of(name: str) -> Work:
    team, _, rest = name.partition("/")
    document_id, _, attempt = rest.rpartition("/")
    return team, document_id, attempt


def is_group(name: str) -> bool:
    return name.startswith(GROUP)


def size_of(name: str) -> int:
    """Return how many pieces of work a workflow is."""
    return int(name.split("/")[1]) if is_group(name) else 1


def works_of(workflow: WorkflowStatus) -> list[Named]:
    """Return the work of a workflow whose input was read."""
    (works,) = workflow.input["args"] if workflow.input else ((),)
    return [(team, document_id, attempt, trace) for team, document_id, attempt, trace in works]
