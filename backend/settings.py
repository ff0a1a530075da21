"""Every setting of the backend, with where it comes from: environment > `.env` > YAML > the defaults here.

`FOOTNOTE_ENV` (default `local`) chooses the YAML file `deploy/config/<env>.yaml`. Variables begin with `FOOTNOTE_`,
except the vendors' own.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

PROJECT = Path(__file__).resolve().parent.parent


_DURATION = re.compile(r"(\d{1,6}(?:\.\d+)?)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_duration(value: object) -> timedelta:
    """Read `90s`, `30m`, `24h` or `7d`; ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(str(value).strip().lower())
    if found is None:
        raise ValueError("must be a number and a unit, such as 90s, 30m, 24h or 7d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


Duration: TypeAlias = Annotated[timedelta, BeforeValidator(read_duration)]


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
    team: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")] = "local"
    api_key: SecretStr | None = None
    api_keys: Annotated[tuple[str, ...], NoDecode] = ()
    """More keys, comma-separated, each `role+role:key` with roles of ask, ingest, admin."""

    index_uri: str | None = None
    database_url: str | None = None

    embedder: Literal["minilm", "openai"] = "minilm"
    embedding_model: str = "text-embedding-3-small"
    embedding_dimensions: Annotated[int, Field(ge=8, le=4096)] = 1536
    embedding_threads: Annotated[int, Field(ge=1, le=64)] = 2
    model_dir: Path | None = None

    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    openai_model: str = Field(default="gpt-4.1-mini", validation_alias="OPENAI_MODEL")
    llm_timeout: Annotated[float, Field(gt=0)] = 60.0
    answer_prompt: str = "answer@v1"
    token_budget: Annotated[int, Field(ge=200, le=100_000)] = 1500
    expand: Literal["off", "hyde", "multi-query"] = "off"
    """What an LLM adds to a search: a passage like the answer's, or other wordings of the question."""
    rerank_url: str | None = None
    """Where a reranker answers `/rerank` as Cohere, Jina or TEI do; unset, nothing is reranked."""
    rerank_model: str = ""
    rerank_key: SecretStr | None = None
    compress: Literal["sentences", "llm-extract", "llm-filter"] = "sentences"
    """Who chooses what of the passages found is kept; the two that ask the model take effect where there is one."""

    fetch_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts or networks, comma-separated, that URL fetching may reach though they are private."""
    max_bytes: Annotated[int, Field(ge=1)] = 50_000_000
    fetch_timeout: Annotated[float, Field(gt=0)] = 30.0
    extract_timeout: Annotated[float, Field(gt=0)] = 25.0
    ingest_workers: Annotated[int, Field(ge=1, le=64)] = 2

    max_documents: Annotated[int, Field(ge=1)] = 100_000
    """Documents that a team may have."""
    max_team_bytes: Annotated[int, Field(ge=1)] = 20_000_000_000
    """Bytes that the sources of a team's documents may have."""
    max_pages_a_day: Annotated[int, Field(ge=1)] = 50_000
    """Documents that a team may hand in or link in a day (UTC), whether they are new or not."""

    gone_after: Duration = timedelta(days=1)
    """How long a page must be missing before it counts as gone and leaves the answers."""
    purge_after: Duration = timedelta(hours=24)
    """How long the bytes of a removed document may stay on the disk; no answer uses them from the removal on."""

    @field_validator("api_keys", "fetch_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value

    @field_validator("openai_api_key", "openai_base_url", "api_key", "rerank_url", "rerank_key", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

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
    def writes_with_llm(self) -> bool:
        """Whether a model is configured to write the answers."""
        return self.openai_api_key is not None or self.openai_base_url is not None


def load_settings() -> Settings:
    """Read the settings, or raise SettingsError with one line that names the first wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(explain(error, Settings)) from None


def explain(error: ValidationError, settings: type[BaseSettings]) -> str:
    """Say which variable is wrong and why, in one line, without the value (it may be a secret)."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    field = settings.model_fields.get(name)
    alias = field.validation_alias if field else None
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0] if isinstance(alias.choices[0], str) else None
    prefix = str(settings.model_config.get("env_prefix") or "")
    variable = alias if isinstance(alias, str) else name if name.isupper() else f"{prefix}{name}".upper()
    return f"{variable}: {first['msg'].removeprefix('Value error, ')}"
