"""Arguments of a Web API call, from JSON, a form or the query string, all of which slack_sdk uses."""

from __future__ import annotations

import json

from bot.sandbox.values import InvalidArguments, Json


class Arguments:
    """Typed reads. Values that came as text (forms, queries) are understood as what the method wants."""

    def __init__(self, values: Json) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def raw(self, name: str) -> object:
        return self._values.get(name)

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidArguments(f"must be a string [json-pointer:/{name}]")
        return str(value)

    def need(self, name: str) -> str:
        """A text that must be there and not empty."""
        value = self.text(name)
        if not value:
            raise InvalidArguments(f"missing required field: {name}")
        return value

    def flag(self, name: str) -> bool | None:
        """True, False, or None where not given."""
        if name not in self._values:
            return None
        return str(self._values[name]).lower() in ("true", "1")

    def number(self, name: str, default: int, *, most: int) -> int:
        try:
            value = int(self.text(name, str(default)))
        except ValueError:
            raise InvalidArguments(f"must be an integer [json-pointer:/{name}]") from None
        return max(1, min(value, most))

    def items(self, name: str, *, error: Exception | None = None) -> list[Json] | None:
        """A list of objects, or None where not given."""
        value = self._decoded(name, error)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise error or InvalidArguments(f"must be an array of objects [json-pointer:/{name}]")
        return value

    def mapping(self, name: str) -> Json | None:
        """An object, or None where not given."""
        value = self._decoded(name, None)
        if value is not None and not isinstance(value, dict):
            raise InvalidArguments(f"must be an object [json-pointer:/{name}]")
        return value

    def _decoded(self, name: str, error: Exception | None) -> object:
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise error or InvalidArguments(f"must be JSON [json-pointer:/{name}]") from None
