from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.embedding import batches_by_length, frame_of
from backend.adapters.minilm import MAX_TOKENS, MiniLM, padded, tokens_of
from backend.adapters.minilm_files import WEIGHTS_BYTES, cached_graph, locate_model
from backend.domain import Chunk
from backend.errors import EmbedderUnavailable


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def minilm(cache_dir: Path) -> Iterator[MiniLM]:
    model = MiniLM.open(None, cache_dir, threads=2)
    yield model
    model.close()


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A folder with the tokenizer, and zeros of the right size for weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(locate_model(None) / "tokenizer.json", folder)
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(WEIGHTS_BYTES)
    return folder


def chunk_of(sentences: list[str], heading: str = "Leave") -> Chunk:
    spans, at = [], 0
    for sentence in sentences:
        spans.append((at, at + len(sentence)))
        at += len(sentence) + 1
    return Chunk(position=0, section=0, heading=heading, start=0, text=" ".join(sentences), sentences=tuple(spans))


# ------------------------------------------------------------------------------------------------------- the model


async def test_the_published_reference_vector_is_reproduced(minilm: MiniLM) -> None:
    vectors = await minilm.embed_query("This is an example sentence")
    assert vectors.search[:3] == pytest.approx([0.0677, 0.0635, 0.0487], abs=1e-3)


async def test_padding_in_a_batch_changes_no_vector(minilm: MiniLM) -> None:
    texts = ["Short.", "A much longer sentence, with a great many more words in it than the other one has."]
    together = await minilm.embed_sentences(texts)
    alone = [(await minilm.embed_query(text)).sentence for text in texts]
    assert together == pytest.approx(np.array(alone), abs=1e-5)


async def test_a_query_beyond_the_limit_is_cut(minilm: MiniLM) -> None:
    words = ["word"] * (MAX_TOKENS - 2)
    cut = await minilm.embed_query(" ".join([*words, "and", "something", "else"]))
    whole = await minilm.embed_query(" ".join(words))
    assert cut.search == pytest.approx(whole.search, abs=1e-5)


async def test_title_and_heading_are_part_of_the_chunks_vector_but_not_of_its_sentences(minilm: MiniLM) -> None:
    chunk = chunk_of(["It takes two weeks.", "Ask first."])
    (with_title,) = await minilm.embed_chunks("Notice periods", [chunk])
    (without,) = await minilm.embed_chunks("", [chunk])
    assert not np.allclose(with_title.vector, without.vector, atol=1e-3)
    assert list(np.argmax(with_title.sentences @ without.sentences.T, axis=1)) == [0, 1]


async def test_a_sentence_is_pooled_within_its_chunk(minilm: MiniLM) -> None:
    sentences = ["Parental leave is paid.", "It lasts sixteen weeks."]
    (vectors,) = await minilm.embed_chunks("Handbook", [chunk_of(sentences)])
    query = (await minilm.embed_query("how long is parental leave")).sentence
    alone = await minilm.embed_sentences(sentences)
    assert vectors.sentences[1] @ query > alone[1] @ query + 0.1  # "it" was read with its context


async def test_sentences_that_were_cut_away_get_vectors_of_their_own(minilm: MiniLM) -> None:
    sentences = ["The printer is on the second floor, beside the stairs." for _ in range(40)]
    sentences[-1] = "Passwords expire after ninety days."
    (vectors,) = await minilm.embed_chunks("Handbook", [chunk_of(sentences)])
    alone = await minilm.embed_sentences(sentences)
    assert vectors.sentences.shape == (40, 384)
    assert vectors.sentences[-1] == pytest.approx(alone[-1], abs=1e-5)
    assert not np.allclose(vectors.sentences[0], alone[0], atol=1e-3)


async def test_a_query_does_not_wait_for_documents_that_are_being_embedded(minilm: MiniLM) -> None:
    chunks = [chunk_of(["The printer is on the second floor, beside the stairs."] * 18)] * 24
    ingesting = [asyncio.create_task(minilm.embed_chunks("Handbook", chunks)) for _ in range(2)]
    await asyncio.sleep(0.05)
    await minilm.embed_query("where is the printer?")
    assert not any(task.done() for task in ingesting)
    for task in ingesting:
        task.cancel()
    await asyncio.gather(*ingesting, return_exceptions=True)


# ------------------------------------------------------------------------------------------------------- the files


def test_other_weights_are_refused_by_their_hash(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable, match="is not the published one"):
        MiniLM.open(model_dir, tmp_path / "cache", threads=1)
    assert not (tmp_path / "cache").exists()


def test_weights_of_another_size_are_refused_even_where_a_graph_is_cached(model_dir: Path, cache_dir: Path) -> None:
    (model_dir / "model.safetensors").write_bytes(b"another model")
    with pytest.raises(EmbedderUnavailable, match="FOOTNOTE_MODEL_DIR"):
        MiniLM.open(model_dir, cache_dir, threads=1)


def test_another_tokenizer_is_refused(model_dir: Path, cache_dir: Path, minilm: MiniLM) -> None:
    (model_dir / "tokenizer.json").write_text("{}")
    with pytest.raises(EmbedderUnavailable, match=r"tokenizer\.json is not the published one"):
        MiniLM.open(model_dir, cache_dir, threads=1)


def test_a_missing_model_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable, match=r"has no model\.safetensors"):
        MiniLM.open(tmp_path, tmp_path, threads=1)


def test_a_cached_graph_is_not_built_again(model_dir: Path, cache_dir: Path, minilm: MiniLM) -> None:
    (graph,) = cache_dir.iterdir()
    before = graph.stat().st_mtime_ns
    assert cached_graph(model_dir, cache_dir) == graph
    assert graph.stat().st_mtime_ns == before


def test_a_graph_that_was_damaged_on_disk_is_built_anew(tmp_path: Path) -> None:
    graph = cached_graph(locate_model(None), tmp_path)
    graph.write_bytes(graph.read_bytes()[:1000])
    MiniLM.open(None, tmp_path, threads=1).close()
    assert graph.stat().st_size > WEIGHTS_BYTES * 0.9
    assert list(tmp_path.iterdir()) == [graph]


def test_a_cache_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(EmbedderUnavailable, match="cannot be written"):
        MiniLM.open(None, tmp_path / "models", threads=1)


# --------------------------------------------------------------------------------------------------- the decisions


@pytest.mark.parametrize(
    ("title", "heading", "frame"),
    [
        ("", "", ""),
        ("Handbook", "", "Handbook\n"),
        ("", "Leave", "Leave\n"),
        ("Handbook", "Leave › Parental", "Handbook › Leave › Parental\n"),
        ("Handbook", "Handbook", "Handbook\n"),
        ("Handbook", "Handbook › Leave", "Handbook › Leave\n"),
        ("x" * 500, "Leave", "x" * 200 + "\n"),
    ],
)
def test_a_chunk_is_framed_by_title_and_heading_without_saying_either_twice(
    title: str, heading: str, frame: str
) -> None:
    assert frame_of(title, heading) == frame


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1024))
def test_batches_hold_every_text_once_within_their_budget(lengths: list[int], tokens: int) -> None:
    batches = batches_by_length(lengths, tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= tokens for batch in batches)


def test_nothing_is_padded_by_more_than_another_pass_would_cost() -> None:
    lengths = [250, 40, 248, 10, 10, 12]
    assert batches_by_length(lengths, 1024, 16) == [[3, 4, 5], [1], [2, 0]]
    assert batches_by_length(lengths, 300, 16) == [[3, 4, 5], [1], [2], [0]]


def test_a_sentence_has_the_tokens_that_begin_in_it() -> None:
    offsets = [(0, 0), (0, 3), (4, 8), (8, 9), (10, 12), (0, 0)]
    assert tokens_of([(0, 9), (10, 12)], offsets, end=12) == (slice(1, 4), slice(4, 5))


def test_a_sentence_without_tokens_or_cut_short_has_none() -> None:
    offsets = [(0, 0), (0, 3), (4, 8), (0, 0)]
    assert tokens_of([(0, 3), (3, 4), (4, 9), (10, 12)], offsets, end=8) == (slice(1, 2), None, None, None)


def test_rows_are_padded_on_the_right_and_masked() -> None:
    ids, mask = padded([np.array([1, 2, 3]), np.array([4])])
    assert ids.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
