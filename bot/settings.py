"""Every setting of the bot, with where it comes from: environment > `.env` > YAML > the defaults here.

Variables begin with `FOOTNOTE_`, except Slack's own. The YAML file is the one that the backend reads, too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

PROJECT = Path(__file__).resolve().parent.parent

Mode = Literal["sandbox", "socket", "http"]


class SettingsError(Exception):
    """A setting is wrong; the message is one line that names the variable."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="FOOTNOTE_", env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    env: Literal["local", "production", "test"] = "local"
    log_format: Literal["text", "json"] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8700
    backend_url: str | None = None
    api_key: SecretStr | None = None
    sandbox_port: Annotated[int, Field(ge=0, le=65535)] = 8701
    bot_host: str = "127.0.0.1"
    bot_port: Annotated[int, Field(ge=0, le=65535)] = 3000

    slack_bot_token: SecretStr | None = Field(default=None, validation_alias="SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = Field(default=None, validation_alias="SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = Field(default=None, validation_alias="SLACK_SIGNING_SECRET")
    slack_api_url: str = Field(default="https://slack.com/api/", validation_alias="SLACK_API_URL")

    allow_external: bool = False
    """Answer guests, people of other workspaces, and in channels that are shared with other workspaces."""
    concurrent_turns: Annotated[int, Field(ge=1, le=256)] = 16
    answer_timeout: Annotated[float, Field(gt=0)] = 240.0
    """Seconds from asking the backend to its last event."""
    notices_every: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between looks for what the backend has people told."""
    stop_timeout: Annotated[float, Field(ge=0)] = 15.0
    """Seconds that answers in flight get at shutdown; what is left is resumed at the next start."""

    @field_validator(
        "backend_url", "api_key", "slack_bot_token", "slack_app_token", "slack_signing_secret", mode="before"
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("backend_url", "slack_api_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    @model_validator(mode="after")
    def _tokens_fit_together(self) -> Settings:
        if self.slack_bot_token and not (self.slack_app_token or self.slack_signing_secret):
            raise ValueError(
                "SLACK_APP_TOKEN: set it (Socket Mode) or SLACK_SIGNING_SECRET (HTTP) beside SLACK_BOT_TOKEN"
            )
        if not self.slack_bot_token and (self.slack_app_token or self.slack_signing_secret):
            raise ValueError("SLACK_BOT_TOKEN: needed beside SLACK_APP_TOKEN or SLACK_SIGNING_SECRET")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class passes it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        name = os.environ.get("FOOTNOTE_ENV", "local")
        yaml = YamlConfigSettingsSource(settings_cls, PROJECT / "deploy" / "config" / f"{name}.yaml")
        return init_settings, env_settings, dotenv_settings, yaml

    @property
    def mode(self) -> Mode:
        """How events arrive: from the local Slack, over Socket Mode, or as signed HTTP requests."""
        if self.slack_bot_token is None:
            return "sandbox"
        return "socket" if self.slack_app_token else "http"

    @property
    def backend(self) -> str:
        """The backend's address without a trailing slash."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        return (self.backend_url or f"http://{host}:{self.port}").rstrip("/")

    def read_api_key(self) -> str | None:
        """Return the configured key, else the one that the backend keeps in the data folder, else None."""
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        path = self.data_dir / "api-key"
        return path.read_text().strip() if path.is_file() else None


def load_settings() -> Settings:
    """Read the settings, or raise SettingsError with one line that names the first wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Say which variable is wrong and why, in one line, without the value (it may be a secret)."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    return f"{name if name.isupper() else f'FOOTNOTE_{name.upper()}'}: {message}"
