"""Bodies that may carry a file: JSON, or a form with a file beside the same fields."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType

from backend.api import bodies
from backend.errors import BadInput, TooLarge
from backend.ingest.submission import Upload

T = TypeVar("T")


async def read(request: Request[object, object, State], type_: type[T], *, most: int) -> tuple[T, Upload | None]:
    """Read a body, and the file that came with it, if one did.

    Raises:
        BadInput: it is not of that shape, or a form without a file.
        TooLarge: the file has more than `most` bytes.
    """
    if request.content_type[0] != RequestEncodingType.MULTI_PART:
        return bodies.decode(await request.body(), type_), None
    form = await request.form()
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise BadInput("file: missing; a form must carry the document as a file.")
    content = await file.read()
    if len(content) > most:
        raise TooLarge(f"The file has {len(content):,} bytes; at most {most:,} are taken.")
    fields = {name: value for name, value in form.items() if name != "file" and value != ""}
    return _parsed(fields, type_), Upload(content, file.filename or "", file.content_type or "")


def _parsed(fields: dict[str, object], type_: type[T]) -> T:
    """Read a form's fields: those of the JSON body, with `metadata` as a JSON object in text."""
    metadata = fields.get("metadata")
    if isinstance(metadata, dict):
        return bodies.convert(fields, type_)
    if metadata is not None:
        try:
            fields = {**fields, "metadata": msgspec.json.decode(str(metadata))}
        except msgspec.DecodeError as error:
            raise BadInput(f"metadata: must be a JSON object: {error}") from None
    return bodies.convert(fields, type_)
