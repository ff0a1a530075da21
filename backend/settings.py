"""Every setting of the backend, with where it comes from: environment > `.env` > YAML > the defaults here.

`FOOTNOTE_ENV` (default `local`) chooses the YAML file `deploy/config/<env>.yaml`. Variables begin with `FOOTNOTE_`,
except the vendors' own.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import yaml
from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from backend.models import Model, Role
from backend.pii import Pii
from backend.signals import SIGNALS, check_installed

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


_RATE = re.compile(r"[1-9]\d{0,6}/(second|minute|hour|day)")


def read_rate(value: object) -> str | None:
    """Read `30/minute`, or `off` as None; ValueError for anything else."""
    text = str(value or "off").strip().lower()
    if text != "off" and not _RATE.fullmatch(text):
        raise ValueError("must be a number per second, minute, hour or day, such as 30/minute, or off")
    return None if text == "off" else text


Rate: TypeAlias = Annotated[str | None, BeforeValidator(read_rate)]


Days: TypeAlias = Annotated[int, Field(ge=0, le=36_500)]


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

    backups: str = "backups"
    """Where backups are kept: a folder, best on another disk, or `s3://bucket/backups`."""
    otlp_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where traces are sent, by OTLP over HTTP, such as http://collector:4318; unset, nothing is traced."""
    sentry_dsn: SecretStr | None = Field(default=None, validation_alias="SENTRY_DSN")
    """Where errors are reported, without anything that somebody wrote; unset, nowhere."""

    index_uri: str | None = None
    """A folder, or an object store's `s3://bucket/index`; unset, in the data folder."""
    blobs_uri: str | None = None
    """Where files that were handed in are kept: `s3://bucket/blobs`; unset, in the data folder."""
    storage_options: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict, repr=False)
    """What the object store needs beside the environment's `AWS_…`, as JSON or YAML: `{aws_endpoint: …}`."""
    database_url: str | None = None
    """`postgresql://user:password@host/name`; unset, SQLite in the data folder."""

    embedder: Literal["minilm", "openai"] = "minilm"
    embedding_model: str = "text-embedding-3-small"
    embedding_dimensions: Annotated[int, Field(ge=8, le=4096)] = 1536
    embedding_threads: Annotated[int, Field(ge=1, le=64)] = 2
    model_dir: Path | None = None

    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    openai_model: str = Field(default="gpt-4.1-mini", validation_alias="OPENAI_MODEL")
    llm_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for one call to the model of the three variables above, what is tried again included."""
    models: Annotated[tuple[Model, ...], NoDecode] = ()
    """Models in the order in which one stands in for another, as JSON or YAML (docs/models.md); instead of the one of
    the variables above."""
    model_roles: Annotated[dict[Role, tuple[str, ...]], NoDecode] = Field(default_factory=dict, validate_default=True)
    """Which of them are asked for a role, in order, as JSON or YAML; for one left out, all are."""
    answer_timeout: Annotated[float, Field(gt=0)] = 90.0
    """Seconds from the question to the end of its answer, whichever models write it."""
    max_calls: Annotated[int, Field(ge=1, le=100)] = 2
    """Calls to models that one answer makes at most, unless a model fails, or others were asked for by settings."""
    answer_prompt: str | None = None
    """The version that writes the answers outside of experiments; by default `current` of prompts/experiments.yaml."""
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
    ocr_languages: Annotated[str, Field(pattern=r"^[A-Za-z_/]+(\+[A-Za-z_/]+)*$")] = "eng"
    """Languages that scans and images are read in, as tesseract names them, with `+` between them: `eng+deu`."""
    ingest_workers: Annotated[int, Field(ge=1, le=64)] = 2

    max_documents: Annotated[int, Field(ge=1)] = 100_000
    """Documents that a team may have."""
    max_team_bytes: Annotated[int, Field(ge=1)] = 20_000_000_000
    """Bytes that the sources of a team's documents may have."""
    max_pages_a_day: Annotated[int, Field(ge=1)] = 50_000
    """Documents that a team may hand in or link in a day (UTC), whether they are new or not."""

    redis_url: SecretStr | None = None
    """Redis or Valkey, where replicas share caches and rate limits; unset, each has its own."""
    cache: Literal["on", "off"] = "on"
    """Whether answers and the vectors of questions are kept. Retrieval never is."""
    cache_bytes: Annotated[int, Field(ge=0)] = 64_000_000
    """Bytes of kept answers in the memory of one backend."""
    cache_disk_bytes: Annotated[int, Field(ge=0)] = 256_000_000
    """Bytes of kept answers in the state database."""
    cache_age: Duration = timedelta(days=7)
    """How long an answer is kept at most; it goes at once when what it drew on changes."""
    semantic_cache: Annotated[float, Field(ge=0.5, le=1)] | None = None
    """Least likeness (cosine) of two questions for the answer to one to be tried on the other; unset, never."""

    rate_user: Rate = "30/minute"
    """Questions of one user, as `number/second|minute|hour|day`, in any such stretch of time; `off` for no limit."""
    rate_channel: Rate = "120/minute"
    rate_team: Rate = "600/minute"
    daily_tokens_user: Annotated[int, Field(ge=0)] = 2_000_000
    """Tokens that models may read and write for one user in a day (UTC); 0 for no limit."""
    daily_tokens_channel: Annotated[int, Field(ge=0)] = 5_000_000
    daily_tokens_team: Annotated[int, Field(ge=0)] = 20_000_000
    daily_cost_user: Annotated[float, Field(ge=0)] = 0.0
    """What models may cost for one user in a day (UTC), in the currency of their prices; 0 for no limit."""
    daily_cost_channel: Annotated[float, Field(ge=0)] = 0.0
    daily_cost_team: Annotated[float, Field(ge=0)] = 0.0

    gone_after: Duration = timedelta(days=1)
    """How long a page must be missing before it counts as gone and leaves the answers."""
    purge_after: Duration = timedelta(hours=24)
    """How long the bytes of a removed document may stay on the disk; no answer uses them from the removal on."""

    keep_runs_days: Days = 365
    """Days for which a question is kept with all that came of it; 0, here and below, is for ever."""
    keep_traces_days: Days = 0
    """Days after which only the figures of a run are left of it, without its words."""
    keep_feedback_days: Days = 0
    """Days for which a rating is kept, at most as long as its run."""
    keep_spendings_days: Days = 60
    """Days for which it is kept what a user, channel or team spent on models in a day."""
    keep_audit_days: Days = 730
    """Days for which it is kept who did what, and which keys there were."""
    redact: Annotated[tuple[Pii, ...], NoDecode] = ()
    """What is blotted out of questions and comments before they are stored, comma-separated: email, phone, iban, card,
    ip, or all. What is searched is the question as it was asked."""
    redact_regions: Annotated[tuple[str, ...], NoDecode] = ()
    """Countries, such as DE,US, whose telephone numbers are known without +49 or +1 in front."""

    @field_validator("redact", mode="before")
    @classmethod
    def _all_kinds(cls, value: object) -> object:
        return get_args(Pii) if value == ("all",) else value

    @field_validator("redact_regions")
    @classmethod
    def _known_regions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [one for one in value if not re.fullmatch(r"[A-Z]{2}", one)]:
            raise ValueError(f"{unknown[0][:20]} is no country's code such as DE or US")
        return value

    @field_validator("api_keys", "fetch_allow", "redact", "redact_regions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value

    @field_validator("models", "model_roles", "storage_options", mode="before")
    @classmethod
    def _read_yaml(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        try:
            return yaml.safe_load(value) or (() if info.field_name == "models" else {})
        except yaml.YAMLError:
            raise ValueError("must be JSON or YAML") from None  # the value may hold keys

    @field_validator("models")
    @classmethod
    def _named_once(cls, models: tuple[Model, ...]) -> tuple[Model, ...]:
        names = [model.name for model in models]
        if len(set(names)) < len(names):
            raise ValueError(f"there are two models called {max(names, key=names.count)}")
        return models

    @field_validator("model_roles")
    @classmethod
    def _roles_of_models(cls, roles: dict[Role, tuple[str, ...]], info: ValidationInfo) -> dict[Role, tuple[str, ...]]:
        known = {model.name: model for model in info.data.get("models", ())}
        for name in (name for names in roles.values() for name in names):
            if name not in known:
                raise ValueError(f"there is no model {name} in FOOTNOTE_MODELS")
        for name in roles.get("caption", ()):
            if not known[name].vision:
                raise ValueError(f"caption: the model {name} is not marked with vision")
        return roles

    @field_validator(
        "index_uri",
        "blobs_uri",
        "database_url",
        "openai_api_key",
        "openai_base_url",
        "api_key",
        "rerank_url",
        "rerank_key",
        "redis_url",
        mode="before",
    )
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

    @field_validator("otlp_endpoint", "sentry_dsn", mode="before")
    @classmethod
    def _is_installed(cls, value: object, info: ValidationInfo) -> object:
        if value:
            check_installed(*SIGNALS[str(info.field_name)])
        return value or None

    @property
    def writes_with_llm(self) -> bool:
        """Whether a model is configured to write the answers."""
        return bool(self.models_for("answer"))

    def models_for(self, role: Role) -> tuple[Model, ...]:
        """Return the models to ask, the first one first; for captions, those that see."""
        listed = self.models or self._short_form()
        if role in self.model_roles:
            by_name = {model.name: model for model in listed}
            return tuple(by_name[name] for name in self.model_roles[role])
        return tuple(model for model in listed if role != "caption" or model.vision)

    def _short_form(self) -> tuple[Model, ...]:
        """Return the one model of OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL, if it is configured."""
        if self.openai_api_key is None and self.openai_base_url is None:
            return ()
        model = Model(
            name=self.openai_model[:200] or "default",
            base_url=self.openai_base_url,
            key=self.openai_api_key,
            timeout=self.llm_timeout,
            first_token=self.llm_timeout,
        )
        return (model,)


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
    within = "".join(f"{place}: " for place in first["loc"][1:])
    return f"{variable}: {within}{first['msg'].removeprefix('Value error, ')}"
