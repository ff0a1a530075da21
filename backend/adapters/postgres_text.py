"""What people write may hold characters that PostgreSQL's text cannot: they are left out on the way into it."""

from __future__ import annotations

import json
import re
from typing import Any

from psycopg.types.string import StrDumperUnknown

_NUL_IN_JSON = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def storable(text: str) -> str:
    """Return text without NUL, and with lone surrogates, which UTF-8 cannot hold, as question marks."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def storable_json(value: object) -> str:
    """Return a value as JSON, in which the same holds: PostgreSQL could not take such a text apart."""
    return _NUL_IN_JSON.sub(r"\1", storable(json.dumps(value, ensure_ascii=False)))


class _Storable(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        return super().dump(storable(obj))


def let_only_storable_pass(connection: Any, record: object) -> None:  # noqa: ARG001 - SQLAlchemy passes it
    """Listener for a pool's `connect`: every string that is bound is made storable."""
    connection.driver_connection.adapters.register_dumper(str, _Storable)
