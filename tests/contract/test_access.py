"""API keys and the audit log: one contract for the tables, in each database, and their fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.access import ApiKeys, Audit, Deed, Keyring, deed_id
from backend.adapters.sql import Database
from backend.errors import BadInput, NotFound
from tests.fakes.access import FakeApiKeys, FakeAudit
from tests.postgres_server import needs_postgres

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgres", marks=needs_postgres)])
async def stores(
    request: pytest.FixtureRequest, database_url: Callable[[str], str]
) -> AsyncIterator[tuple[ApiKeys, Audit]]:
    if request.param == "fake":
        yield FakeApiKeys(), FakeAudit()
        return
    database = Database.open(database_url(request.param))
    yield database.api_keys, database.audit
    await database.close()


async def test_a_key_is_recognised_until_it_is_revoked(stores: tuple[ApiKeys, Audit]) -> None:
    ring = Keyring(stores[0], Clock())
    key, secret = await ring.create("ci", frozenset({"ingest", "ask"}))
    known = await ring.recognise(secret)
    assert known is not None
    assert (known.name, known.roles) == ("ci", frozenset({"ingest", "ask"}))
    other, _ = await Keyring(FakeApiKeys()).create("ci", frozenset({"ask"}))
    assert await ring.recognise(f"fn_{other.key_id}_{secret[-43:]}") is None
    assert await ring.recognise(secret[:-1] + ("a" if secret[-1] != "a" else "b")) is None
    [revoked] = await ring.revoke(key.key_id)
    assert revoked.key_id == key.key_id
    assert await ring.recognise(secret) is None
    with pytest.raises(NotFound):
        await ring.revoke("ci")


async def test_both_keys_of_a_rotation_are_accepted_until_the_overlap_is_over(stores: tuple[ApiKeys, Audit]) -> None:
    clock = Clock()
    ring = Keyring(stores[0], clock)
    _, old = await ring.create("rotating", frozenset({"ask"}))
    with pytest.raises(BadInput):
        await ring.create("rotating", frozenset({"ask"}))
    clock.now += HOUR
    made, new = await ring.rotate("rotating", 2 * HOUR)
    assert (made.roles, made.expires_at) == (frozenset({"ask"}), None)
    clock.now += 2 * HOUR - SECOND
    assert await ring.recognise(old)
    clock.now += SECOND
    assert await ring.recognise(old) is None
    assert await ring.recognise(new)
    with pytest.raises(NotFound):
        await ring.rotate("nobody", HOUR)


async def test_a_key_ends_by_itself_and_its_successor_lasts_as_long(stores: tuple[ApiKeys, Audit]) -> None:
    clock = Clock()
    ring = Keyring(stores[0], clock)
    _, secret = await ring.create("ending", frozenset({"ask"}), timedelta(days=2))
    clock.now += timedelta(days=1)
    successor, _ = await ring.rotate("ending", timedelta(days=9))
    assert successor.expires_at == clock.now + timedelta(days=2)
    clock.now += timedelta(days=1)
    assert await ring.recognise(secret) is None


async def test_its_use_is_noted_once_a_minute(stores: tuple[ApiKeys, Audit]) -> None:
    clock = Clock()
    ring = Keyring(stores[0], clock)
    key, secret = await ring.create("used", frozenset({"ask"}))
    seen = []
    for _ in range(4):
        await ring.recognise(secret)
        kept = await stores[0].get(key.key_id)
        seen.append(kept and kept.last_used_at)
        clock.now += 25 * SECOND
    assert seen == [START, START, START, START + 75 * SECOND]


async def test_the_log_is_read_in_pages_the_latest_first(stores: tuple[ApiKeys, Audit]) -> None:
    log = stores[1]
    for n in range(5):
        at = START + n * SECOND
        await log.add(Deed(deed_id(at), at, "boss", "document.remove", "done", "T1", f"U{n % 2}", f"d{n}"))
    first = await log.page(team="T1", limit=3)
    assert [deed.target for deed in first.deeds] == ["d4", "d3", "d2"]
    rest = await log.page(team="T1", limit=3, cursor=first.cursor)
    assert ([deed.target for deed in rest.deeds], rest.cursor) == (["d1", "d0"], None)
    assert [deed.target for deed in (await log.page(of="U1")).deeds] == ["d3", "d1"]
    assert [deed.at for deed in (await log.page(of="d2")).deeds] == [START + 2 * SECOND]
    assert len((await log.page(since=START + 3 * SECOND, of="boss", team="T1")).deeds) == 2
    assert (await log.page(team="T2")).deeds == ()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=needs_postgres)])
async def test_no_secret_is_in_the_database_and_no_entry_of_the_log_can_be_changed(
    kind: str, database_url: Callable[[str], str]
) -> None:
    database = Database.open(database_url(kind))
    _, secret = await Keyring(database.api_keys).create("kept", frozenset({"admin"}))
    await database.audit.add(Deed(deed_id(START), START, "boss", "key.create", "done"))
    async with database.engine.connect() as connection:
        [row] = await connection.execute(text("SELECT * FROM api_keys"))
        assert secret[-43:] not in str(tuple(row))
        with pytest.raises(DBAPIError, match="only added to"):
            await connection.execute(text("UPDATE audit SET key = 'somebody else'"))
    await database.close()
