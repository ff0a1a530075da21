"""Keys and the audit log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from backend.access import BETWEEN_USES, ApiKey, Deed, Deeds
from backend.errors import FootnoteError
from backend.people import Belongings, Gone


@dataclass
class FakeApiKeys:
    rows: dict[str, ApiKey] = field(default_factory=dict)
    error: FootnoteError | None = None
    """Raised wherever a key is looked up."""

    async def add(self, key: ApiKey) -> None:
        self.rows[key.key_id] = key

    async def get(self, key_id: str) -> ApiKey | None:
        if self.error:
            raise self.error
        return self.rows.get(key_id)

    async def list(self) -> tuple[ApiKey, ...]:
        newest = sorted(self.rows.values(), key=lambda key: key.created_at, reverse=True)
        return tuple(sorted(newest, key=lambda key: key.name))

    async def expire(self, key_ids: Sequence[str], at: datetime) -> None:
        for key_id in key_ids:
            key = self.rows[key_id]
            self.rows[key_id] = replace(key, expires_at=min(key.expires_at or at, at))

    async def revoke(self, key_ids: Sequence[str], at: datetime) -> None:
        for key_id in key_ids:
            self.rows[key_id] = replace(self.rows[key_id], revoked_at=self.rows[key_id].revoked_at or at)

    async def used(self, key_id: str, at: datetime) -> None:
        key = self.rows[key_id]
        if key.last_used_at is None or at - key.last_used_at >= BETWEEN_USES:
            self.rows[key_id] = replace(key, last_used_at=at)


@dataclass
class FakeAudit:
    deeds: list[Deed] = field(default_factory=list)
    error: FootnoteError | None = None

    async def add(self, deed: Deed) -> None:
        if self.error:
            raise self.error
        self.deeds.append(deed)

    async def page(
        self, *, since: datetime | None = None, of: str = "", team: str = "", limit: int = 50, cursor: str | None = None
    ) -> Deeds:
        found = [
            deed
            for deed in sorted(self.deeds, key=lambda deed: deed.deed_id, reverse=True)
            if (since is None or deed.at >= since)
            and (not of or of in (deed.key, deed.user, deed.action, deed.target))
            and (not team or deed.team == team)
            and (cursor is None or deed.deed_id < cursor)
        ]
        return Deeds(tuple(found[:limit]), found[limit - 1].deed_id if len(found) > limit else None)


@dataclass
class FakeBelonging:
    """people.Belonging: `theirs` by team and user."""

    theirs: dict[tuple[str, str], Belongings] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()

    async def of(self, team: str, user: str) -> Belongings:
        return self.theirs.get((team, user), Belongings((), (), (), (), ()))

    async def erase(self, team: str, user: str, asked: frozenset[str]) -> Gone:
        self.asked = asked
        gone = self.theirs.pop((team, user), Belongings((), (), (), (), ()))
        return Gone(
            len(gone.runs), len(gone.feedback), len(gone.notices), len(gone.spendings), len(gone.brought), mentions=0
        )


class NoWords:
    """people.Reading."""

    async def text(self, team: str, document_id: str) -> str:
        return f"the words of {document_id}"


async def flush() -> None:
    return None
