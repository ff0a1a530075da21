"""Every setting of the bot, with where it comes from: environment > `.env` > YAML > the defaults here.

Variables begin with `FOOTNOTE_`, except Slack's own. The YAML file is the one that the backend reads, too.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from backend.signals import SIGNALS, check_installed
from bot.audience import External
from bot.quiet import FollowUps

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

    otlp_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where traces are sent, by OTLP over HTTP, such as http://collector:4318; unset, nothing is traced."""
    sentry_dsn: SecretStr | None = Field(default=None, validation_alias="SENTRY_DSN")
    """Where errors are reported, without anything that somebody wrote; unset, nowhere."""

    slack_bot_token: SecretStr | None = Field(default=None, validation_alias="SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = Field(default=None, validation_alias="SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = Field(default=None, validation_alias="SLACK_SIGNING_SECRET")
    slack_api_url: str = Field(default="https://slack.com/api/", validation_alias="SLACK_API_URL")

    slack_client_id: str | None = Field(default=None, validation_alias="SLACK_CLIENT_ID")
    slack_client_secret: SecretStr | None = Field(default=None, validation_alias="SLACK_CLIENT_SECRET")
    """With these two, in place of a bot token, any workspace can install the app at `<public_url>/slack/install`."""
    slack_config_token: SecretStr | None = Field(default=None, validation_alias="SLACK_CONFIG_TOKEN")
    """A configuration token of the app's owner, with which `doctor` compares the events. The bot itself needs none."""
    public_url: str | None = None
    """Where the bot's own port can be reached from outside, such as `https://footnote.example`."""
    database_url: str | None = None
    """Where several bots have their memory and their work in common: PostgreSQL. With SQLite's URL, installations alone
    are kept there; empty is files in the bot's own folder."""
    encryption_key: SecretStr | None = None
    """Fernet keys with commas between them, the newest first; empty is one that is made in the data folder."""

    external: str = "refuse"
    """Where guests and people of other workspaces ask or read: `refuse` to answer, `tag:NAME` to answer from documents
    with that tag alone, or `all` to answer from the documents that the whole team may read."""
    allow_external: bool = False
    """The older name of `external=all`; it also lets them add documents."""
    expert: str = ""
    """Whom "Ask a human" asks: the id of a user (`U…`) or of a channel (`C…`); empty is nobody."""
    admins: str = ""
    """Who may see how Footnote is and change the settings of channels, beside the workspace's own admins and owners:
    ids of users (`U…`) with commas between them."""
    good_emoji: str = "+1,thumbsup,white_check_mark"
    bad_emoji: str = "-1,thumbsdown,x"
    """The reactions that rate an answer, by name, with commas between them; skin tones do not matter."""
    follow_ups: FollowUps = "auto"
    """Which replies in our threads are answered without a mention: `auto` (except in busy channels), `always` or
    `mentions` (none)."""
    busy_from: Annotated[int, Field(ge=2)] = 50
    """How many people make a channel busy."""
    agent_view: Literal["off", "on"] = "off"
    """Whether the app is declared an agent (deploy/slack/manifest-agent.yaml). Guests cannot use agents."""
    concurrent_turns: Annotated[int, Field(ge=1, le=256)] = 32
    slack_timeout: Annotated[float, Field(gt=0)] = 20.0
    """Seconds that one call of Slack's Web API may take."""
    answer_timeout: Annotated[float, Field(gt=0)] = 240.0
    """Seconds from asking the backend to its last event."""
    notices_every: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between looks for what the backend has people told."""
    stop_timeout: Annotated[float, Field(ge=0)] = 15.0
    """Seconds that answers in flight get at shutdown; what is left is resumed at the next start."""

    @field_validator(
        "backend_url", "api_key", "slack_bot_token", "slack_app_token", "slack_signing_secret", "slack_client_id",
        "slack_client_secret", "slack_config_token", "public_url", "database_url", "encryption_key", mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("otlp_endpoint", "sentry_dsn", mode="before")
    @classmethod
    def _is_installed(cls, value: object, info: ValidationInfo) -> object:
        if value:
            check_installed(*SIGNALS[str(info.field_name)])
        return value or None

    @field_validator("backend_url", "slack_api_url", "public_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    @field_validator("expert")
    @classmethod
    def _is_id(cls, value: str) -> str:
        if value and not re.fullmatch(r"[CGUW][A-Z0-9_]+", value):
            raise ValueError("must be the id of a user (U…) or of a channel (C…), or empty")
        return value

    @field_validator("admins")
    @classmethod
    def _are_users(cls, value: str) -> str:
        if not all(re.fullmatch(r"[UW][A-Z0-9_]+", user.strip()) for user in value.split(",") if user.strip()):
            raise ValueError("must be ids of users (U…) with commas between them, or empty")
        return value

    @field_validator("external")
    @classmethod
    def _is_policy(cls, value: str) -> str:
        External.parse(value)
        return value

    @model_validator(mode="after")
    def _tokens_fit_together(self) -> Settings:
        if self.slack_client_id:
            self._check_installable()
            return self
        if self.slack_bot_token and not (self.slack_app_token or self.slack_signing_secret):
            raise ValueError(
                "SLACK_APP_TOKEN: set it (Socket Mode) or SLACK_SIGNING_SECRET (HTTP) beside SLACK_BOT_TOKEN"
            )
        if not self.slack_bot_token and (self.slack_app_token or self.slack_signing_secret):
            raise ValueError("SLACK_BOT_TOKEN: needed beside SLACK_APP_TOKEN or SLACK_SIGNING_SECRET")
        return self

    def _check_installable(self) -> None:
        if self.slack_bot_token:
            raise ValueError("SLACK_BOT_TOKEN: leave it empty beside SLACK_CLIENT_ID; workspaces bring their own")
        if not self.slack_client_secret:
            raise ValueError("SLACK_CLIENT_SECRET: needed beside SLACK_CLIENT_ID")
        if not self.public_url:
            raise ValueError("FOOTNOTE_PUBLIC_URL: needed beside SLACK_CLIENT_ID, to come back to after installing")
        if not (self.slack_app_token or self.slack_signing_secret):
            raise ValueError(
                "SLACK_APP_TOKEN: set it (Socket Mode) or SLACK_SIGNING_SECRET (HTTP) beside SLACK_CLIENT_ID"
            )

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
        if self.slack_bot_token is None and self.slack_client_id is None:
            return "sandbox"
        return "socket" if self.slack_app_token else "http"

    @property
    def outsiders(self) -> External:
        """What is used where people from outside ask or read."""
        return External("all") if self.allow_external else External.parse(self.external)

    @property
    def named_admins(self) -> frozenset[str]:
        return frozenset(user.strip() for user in self.admins.split(",") if user.strip())

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
