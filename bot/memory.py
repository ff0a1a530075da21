"""Which database the settings mean: that of the bot's own folder, or one that several bots share."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import build_engine, parsed, plain
from bot.settings import Settings, SettingsError


def shared_url(settings: Settings) -> str | None:
    """Return the database that several bots share, None where the bot's memory is files in its own folder.

    Raises:
        SettingsError: the setting names no database that can be used.
    """
    if not settings.database_url or settings.mode == "sandbox":
        return None
    try:
        url = parsed(settings.database_url)
    except ValueError as error:
        raise SettingsError(f"FOOTNOTE_DATABASE_URL: {error}") from None
    return plain(url) if url.get_backend_name() == "postgresql" else None


def open_memory(settings: Settings) -> AsyncEngine:
    """Return an engine on what the configured bot remembers. SettingsError as above."""
    return build_engine(shared_url(settings) or settings.data_dir / "bot.sqlite")


def work_url(settings: Settings) -> str:
    """Return where the configured bot's durable work is. SettingsError as above."""
    return shared_url(settings) or f"sqlite:///{settings.data_dir / 'bot-dbos.sqlite'}"
