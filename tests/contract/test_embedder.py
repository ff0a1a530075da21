"""What every ports.Embedder promises, the fake included, so that the fake cannot lie."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import numpy as np
import pytest

from backend.adapters.minilm import MiniLM
from backend.adapters.openai_embedder import OpenAIEmbedder
from backend.domain import Chunk
from backend.ports import Embedder
from tests.fakes.embedder import HashEmbedder
from tests.fakes.openai_server import openai_server

TEXT = "Annual leave is twenty-five days. Ask your manager first. Unused days expire in March."
SENTENCES = ((0, 33), (34, 57), (58, 86))


def chunk(text: str = TEXT, sentences: tuple[tuple[int, int], ...] = SENTENCES, heading: str = "Leave") -> Chunk:
    return Chunk(position=0, section=0, heading=heading, start=0, text=text, sentences=sentences)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniLM]:
    model = MiniLM.open(None, tmp_path_factory.mktemp("models"), threads=2)
    yield model
    model.close()


@pytest.fixture(params=["hash", "minilm", "openai"])
async def embedder(request: pytest.FixtureRequest, minilm: MiniLM) -> AsyncIterator[Embedder]:
    async with AsyncExitStack() as stack:
        if request.param == "hash":
            yield HashEmbedder()
        elif request.param == "minilm":
            yield minilm
        else:
            base_url = await stack.enter_async_context(openai_server())
            remote = OpenAIEmbedder.open(
                base_url, "key", "text-embedding-3-small", dimensions=512, timeout=5, local=minilm
            )
            stack.push_async_callback(remote.close)
            yield remote


def of_unit_length(vectors: np.ndarray) -> bool:
    return vectors.dtype == np.float32 and bool(np.allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5))


async def test_a_query_has_a_vector_in_each_space(embedder: Embedder) -> None:
    vectors = await embedder.embed_query("How many days of leave are there?")
    assert vectors.search.shape == (embedder.dimensions,)
    assert vectors.sentence.shape == (384,)
    assert of_unit_length(vectors.search)
    assert of_unit_length(vectors.sentence)


async def test_a_chunk_has_a_vector_and_one_for_each_sentence(embedder: Embedder) -> None:
    (vectors,) = await embedder.embed_chunks("Handbook", [chunk()])
    assert vectors.vector.shape == (embedder.dimensions,)
    assert vectors.sentences.shape == (3, 384)
    assert of_unit_length(vectors.vector)
    assert of_unit_length(vectors.sentences)


async def test_chunks_come_back_in_order_whatever_their_lengths(embedder: Embedder) -> None:
    texts = [f"Rule {n}. " + f"Room {n} seats {n * 3} people. " * (40 - n) for n in range(0, 40, 3)]
    chunks = [chunk(text, ((0, 7),)) for text in texts]
    together = await embedder.embed_chunks("Rooms", chunks)
    for one, vectors in zip(chunks, together, strict=True):
        (alone,) = await embedder.embed_chunks("Rooms", [one])
        assert vectors.vector == pytest.approx(alone.vector, abs=1e-4)
        assert vectors.sentences == pytest.approx(alone.sentences, abs=1e-4)


async def test_no_chunks_and_no_sentences_make_no_vectors(embedder: Embedder) -> None:
    assert await embedder.embed_chunks("Handbook", []) == []
    assert (await embedder.embed_sentences([])).shape == (0, 384)
    (vectors,) = await embedder.embed_chunks("Handbook", [chunk("Bare text", ())])
    assert vectors.sentences.shape == (0, 384)


async def test_a_query_is_nearest_to_the_chunk_and_the_sentence_that_answer_it(embedder: Embedder) -> None:
    other = chunk("The kitchen is cleaned on Fridays. Please label food.", ((0, 34), (35, 53)), "Kitchen")
    query = await embedder.embed_query("when do unused days expire")
    leave, kitchen = await embedder.embed_chunks("Handbook", [chunk(), other])
    assert leave.vector @ query.search > kitchen.vector @ query.search
    assert int(np.argmax(leave.sentences @ query.sentence)) == 2


async def test_sentences_on_their_own_lie_in_the_space_of_a_chunks_sentences(embedder: Embedder) -> None:
    alone = await embedder.embed_sentences([TEXT[start:end] for start, end in SENTENCES])
    (vectors,) = await embedder.embed_chunks("Handbook", [chunk()])
    assert alone.shape == (3, 384)
    assert of_unit_length(alone)
    assert list(np.argmax(alone @ vectors.sentences.T, axis=1)) == [0, 1, 2]


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\ud800", "🦆" * 50, "word " * 3000])
async def test_any_text_can_be_embedded(embedder: Embedder, text: str) -> None:
    query = await embedder.embed_query(text)
    (vectors,) = await embedder.embed_chunks(text, [chunk(text, ((0, len(text)),), text)])
    assert of_unit_length(query.search)
    assert of_unit_length(query.sentence)
    assert of_unit_length(vectors.vector)
    assert vectors.sentences.shape == (1, 384)
    assert of_unit_length(vectors.sentences)


def test_tokens_are_counted_without_special_ones(embedder: Embedder) -> None:
    assert embedder.count_tokens("") == 0
    assert embedder.count_tokens("two weeks") == 2
    assert embedder.count_tokens("word " * 3000) == 3000


def test_the_name_says_which_vectors_may_be_compared(minilm: MiniLM) -> None:
    remote = OpenAIEmbedder.open("http://127.0.0.1:9", "k", "m", dimensions=64, timeout=1, local=minilm)
    assert [minilm.name, remote.name] == ["all-MiniLM-L6-v2/fp32", "openai/m/64"]
