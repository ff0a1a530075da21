"""The workspaces that installed us, in the bot's database: their tokens are encrypted there.

Keys are Fernet's. The first encrypts, all decrypt: to change it, put a new key in front, start the bot once, which
writes every token anew, and take the old key away.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.sqlalchemy import AsyncSQLAlchemyInstallationStore
from sqlalchemy import MetaData, Table, Text, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

Tokens = TypeVar("Tokens", Bot, Installation)

SECRETS = ("bot_token", "bot_refresh_token", "user_token", "user_refresh_token", "incoming_webhook_url")
"""The columns that nobody should read who reads the database."""
MARK = "gAAAA"
"""How everything begins that Fernet encrypted, and no token of Slack."""


class UnreadableInstallations(Exception):
    """No key that is configured decrypts what is stored."""


def open_keys(configured: str | None, path: Path) -> MultiFernet:
    """Return the configured keys, separated by commas, else the one at `path`, which is made if there is none.

    Raises:
        ValueError: a key is none.
    """
    if configured:
        return MultiFernet([Fernet(key.strip()) for key in configured.split(",") if key.strip()])
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key())
    return MultiFernet([Fernet(path.read_bytes().strip())])


class Installations(AsyncSQLAlchemyInstallationStore):
    """slack_sdk's store, with tokens encrypted between it and the database."""

    def __init__(self, client_id: str, engine: AsyncEngine, keys: MultiFernet) -> None:
        super().__init__(client_id, engine)
        self._keys = keys

    @classmethod
    def build_bots_table(cls, metadata: MetaData, table_name: str) -> Table:
        return _widened(super().build_bots_table(metadata, table_name))

    @classmethod
    def build_installations_table(cls, metadata: MetaData, table_name: str) -> Table:
        return _widened(super().build_installations_table(metadata, table_name))

    async def async_save(self, installation: Installation) -> None:
        """Keep an installation; slack_sdk saves its bot through `async_save_bot`."""
        await super().async_save(self._encrypted(installation))

    async def async_save_bot(self, bot: Bot) -> None:
        await super().async_save_bot(self._encrypted(bot))

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        found = await super().async_find_bot(
            enterprise_id=enterprise_id, team_id=team_id, is_enterprise_install=is_enterprise_install
        )
        return self._decrypted(found) if found else None

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        found = await super().async_find_installation(
            enterprise_id=enterprise_id, team_id=team_id, user_id=user_id, is_enterprise_install=is_enterprise_install
        )
        return self._decrypted(found) if found else None

    async def installed(self) -> list[Bot]:
        """Return the newest bot of every workspace that has one."""
        columns = self.bots.c
        wanted = select(columns.enterprise_id, columns.team_id).where(columns.client_id == self.client_id).distinct()
        async with self.engine.connect() as connection:
            rows = (await connection.execute(wanted)).all()
        found = [await self.async_find_bot(enterprise_id=row.enterprise_id, team_id=row.team_id) for row in rows]
        return [bot for bot in found if bot is not None]

    async def forget(self, bot: Bot) -> None:
        """Drop all that is known of a workspace, its tokens first."""
        await self.async_delete_bot(enterprise_id=bot.enterprise_id, team_id=bot.team_id)
        await self.async_delete_installation(enterprise_id=bot.enterprise_id, team_id=bot.team_id)

    async def reencrypt(self) -> int:
        """Write every token with the first key; return how many rows that were."""
        return sum([await self._reencrypt(table) for table in (self.bots, self.installations)])

    async def _reencrypt(self, table: Table) -> int:
        names = [name for name in SECRETS if name in table.c]
        async with self.engine.begin() as connection:
            rows = (await connection.execute(select(table.c.id, *(table.c[name] for name in names)))).mappings().all()
            for row in rows:
                fresh = {name: self._rotated(row[name]) for name in names if row[name]}
                if fresh:
                    await connection.execute(update(table).where(table.c.id == row["id"]).values(**fresh))
        return len(rows)

    def _rotated(self, token: str) -> str:
        return self._encrypt(self._decrypt(token))

    def _encrypted(self, tokens: Tokens) -> Tokens:
        return self._changed(tokens, self._encrypt)

    def _decrypted(self, tokens: Tokens) -> Tokens:
        return self._changed(tokens, self._decrypt)

    def _encrypt(self, token: str) -> str:
        """Return a token encrypted; what is so already stays, since slack_sdk's methods call one another."""
        return token if token.startswith(MARK) else self._keys.encrypt(token.encode()).decode()

    def _decrypt(self, token: str) -> str:
        if not token.startswith(MARK):
            return token
        try:
            return self._keys.decrypt(token.encode()).decode()
        except InvalidToken:
            raise UnreadableInstallations from None

    def _changed(self, tokens: Tokens, change: Callable[[str], str]) -> Tokens:
        changed = copy(tokens)
        for name in SECRETS:
            if value := getattr(tokens, name, None):
                setattr(changed, name, change(value))
        return changed


def _widened(table: Table) -> Table:
    """Make room for encrypted tokens: slack_sdk's columns hold 200 characters."""
    for name in SECRETS:
        if name in table.c:
            table.c[name].type = Text()
    return table
