"""The models that are configured: OpenAI-compatible endpoints, in the order in which one stands in for another."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

Role: TypeAlias = Literal["answer", "understand", "compress", "verify", "caption"]
"""What a model may be asked to do; expanding a question for a search is part of understanding it."""


class Model(BaseModel):
    """One model. Times in seconds, prices per million tokens in any one currency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What Footnote calls it: in settings, footers, metrics."""
    model: str = ""
    """What its endpoint calls it, where that is another name."""
    base_url: str | None = None
    """Unset, OpenAI's own."""
    key: SecretStr | None = None
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The variable, of the environment or `.env`, that holds the key, so that it need not stand in the list."""

    streaming: bool = True
    json_schema: bool = True
    vision: bool = False
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.0
    """None leaves it to the endpoint."""

    timeout: Annotated[float, Field(gt=0)] = 60.0
    """One call in all, with what is tried again."""
    first_token: Annotated[float, Field(gt=0)] = 30.0
    """The wait for the first token of a stream."""
    silence: Annotated[float, Field(gt=0)] = 15.0
    """The longest silence after it."""

    price_in: Annotated[float, Field(ge=0)] = 0.0
    price_out: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("base_url", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def wire_name(self) -> str:
        """What is sent as the model's name."""
        return self.model or self.name

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return what so many tokens cost."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1_000_000
