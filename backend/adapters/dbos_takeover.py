"""Work that its process, or its version of the program, will not end: queued again for others, or dropped."""

from __future__ import annotations

import asyncio

from dbos import DBOS
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from backend.errors import DatabaseUnavailable


async def executors_at_work() -> frozenset[str]:
    """Return who has begun work that has not ended. DatabaseUnavailable if that cannot be said."""
    try:
        begun = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
    except (SQLAlchemyError, dbos_error.DBOSException) as error:
        raise DatabaseUnavailable("The queue of durable work cannot be reached; try again in a moment.") from error
    return frozenset(one.executor_id for one in begun if one.executor_id)


async def take_over(executors: list[str]) -> int:
    """Enqueue anew what these had begun; return how many pieces of work. Should several processes enqueue one, it is
    still taken up once: DBOS changes only what has the old executor's name."""
    try:
        return len(await asyncio.to_thread(DBOS._recover_pending_workflows, executors))
    except (SQLAlchemyError, dbos_error.DBOSException) as error:
        raise DatabaseUnavailable("The queue of durable work cannot be reached; try again in a moment.") from error


async def drop_other_versions(version: str, unfinished: list[str]) -> None:
    """Forget work in one of these states that only another version of the workflows could resume."""
    listed = await DBOS.list_workflows_async(status=unfinished, load_input=False, load_output=False)
    old = [one.workflow_id for one in listed if one.app_version != version]
    if old:
        await DBOS.delete_workflows_async(old)
