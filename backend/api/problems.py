"""Every error as RFC 9457 problem details: one shape, a sentence that a person can act on, no content, no traceback."""

from __future__ import annotations

import re
from http import HTTPStatus

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from loguru import logger

from backend.errors import FootnoteError, LimitReached, Unauthorized, Unavailable
from backend.schema import Problem

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
"""Seconds after which what is unavailable is worth another try."""

SENTENCES = {
    404: "There is nothing at this address; /schema lists what there is.",
    405: "This address does not take that method.",
    413: "The request is too large for this address; a document may have 50 MB, or what FOOTNOTE_MAX_BYTES says.",
}


def problem_of(error: BaseException, *, request_id: str | None = None, run_id: str | None = None) -> Problem:
    """Return what the caller may know of an error. Of an unforeseen one that is its request id alone."""
    match error:
        case FootnoteError():
            status, title, detail = error.status, error.title, str(error)
        case ValidationException():
            status, title, detail = 400, "Bad input", _invalid_parameter(error)
        case HTTPException():
            status, title = error.status_code, HTTPStatus(error.status_code).phrase
            detail = SENTENCES.get(status, error.detail)
        case _:
            status, title = 500, FootnoteError.title
            detail = "The backend failed; its log says why, under this request id."
    return Problem(title=title, status=status, detail=detail, type=_type(title), run_id=run_id, request_id=request_id)


def _type(title: str) -> str:
    """Return the stable name of a kind of problem, such as urn:footnote:bad-input."""
    return f"urn:footnote:{re.sub('[^a-z0-9]+', '-', title.lower())}"


def _invalid_parameter(error: ValidationException) -> str:
    first = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    name, message = first.get("key", ""), first.get("message", error.detail)
    return f"{name}: {message}" if name else str(message)


def respond(request: Request[object, object, State], error: Exception) -> Response[Problem]:
    """Turn any exception of a request into its response; log the unforeseen ones, once."""
    known = request.scope["state"]
    problem = problem_of(error, request_id=known.get("request_id"), run_id=known.get("run_id"))
    if problem.status >= 500 and not isinstance(error, Unavailable):
        logger.opt(exception=error).error("unforeseen error")
    elif isinstance(error, Unavailable):
        logger.bind(error=str(error)).warning("unavailable")
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=_headers(error))


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, Unavailable):
        return {"Retry-After": str(RETRY_AFTER)}
    if isinstance(error, LimitReached) and error.retry_after:
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": 'ApiKey realm="footnote"'}
    return dict(error.headers or {}) if isinstance(error, HTTPException) else {}


HANDLERS: ExceptionHandlersMap = {HTTPException: respond, Exception: respond}
