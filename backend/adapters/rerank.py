"""A reranker behind HTTP: the `/rerank` call that Cohere, Jina, vLLM and Hugging Face's TEI share.

They agree on a POST with the question and the texts and on a list of scores by index. With a model's name the request
is Cohere's (`documents`, `results`), without one TEI's (`texts`, a bare list); either reply is understood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import aiohttp

from backend.errors import RerankerUnavailable

MAX_CHARACTERS = 4_000
"""Of a text: what fits the 512 to 1,024 tokens that cross-encoders read."""


class HttpReranker:
    """ports.Reranker over one endpoint; open it with `async with`. `timeout` is for the whole call, in seconds.

    Nothing is retried: someone is waiting, and the order there is stands in where the call fails.
    """

    def __init__(self, url: str, model: str, key: str | None, *, timeout: float) -> None:
        self.name = model or "reranker"
        self._url = url if url.rstrip("/").endswith("/rerank") else f"{url.rstrip('/')}/rerank"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        try:
            return scores_of(await self._post(self._body(question, texts)), len(texts))
        except aiohttp.ClientResponseError as error:
            raise RerankerUnavailable(_refused(error.status)) from None
        except TimeoutError:
            raise RerankerUnavailable("The reranker did not answer in time.") from None
        except (aiohttp.ClientError, OSError):
            raise RerankerUnavailable("The reranker cannot be reached: check FOOTNOTE_RERANK_URL.") from None
        except ValueError:
            raise RerankerUnavailable("The reranker sent something else than scores.") from None

    def _body(self, question: str, texts: Sequence[str]) -> dict[str, object]:
        cut = [text[:MAX_CHARACTERS] for text in texts]
        if self._model:
            return {"model": self._model, "query": question, "documents": cut, "top_n": len(cut)}
        return {"query": question, "texts": cut, "truncate": True}

    async def _post(self, body: dict[str, object]) -> object:
        if self._session is None:
            raise RerankerUnavailable("The reranker is closed.")
        async with self._session.post(self._url, json=body) as response:
            response.raise_for_status()
            reply: object = await response.json(content_type=None)
            return reply


def scores_of(reply: object, count: int) -> list[float]:
    """Return the scores by index. ValueError unless each of the `count` texts has a finite one."""
    rows = reply.get("results") if isinstance(reply, dict) else reply
    if not isinstance(rows, list):
        raise ValueError("no list of scores")
    scores = dict(_score(row) for row in rows)
    if sorted(scores) != list(range(count)) or not all(map(math.isfinite, scores.values())):
        raise ValueError("not one score per text")
    return [scores[index] for index in range(count)]


def _score(row: object) -> tuple[int, float]:
    if not isinstance(row, dict):
        raise ValueError("a row is no object")
    index, score = row.get("index"), row.get("relevance_score", row.get("score"))
    if not isinstance(index, int) or not isinstance(score, int | float):
        raise ValueError("a row without index or score")
    return index, float(score)


def _refused(status: int) -> str:
    if status in (401, 403):
        return "The reranker refused the key: check FOOTNOTE_RERANK_KEY."
    if status == 404:
        return "The reranker is not there: check FOOTNOTE_RERANK_URL and FOOTNOTE_RERANK_MODEL."
    return f"The reranker failed (HTTP {status})."
