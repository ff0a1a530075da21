"""The measurement of large indexes measures what it says, tried on a small one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bench.bench_scale import kept, main, need, shown, table
from tests.bench.scale_corpus import CHUNKS, FILTERED, MINE, Corpus, Nearest, admitted, team_of, unit
from tests.bench.scale_parts import disk, recall, search, write

DOCUMENTS = 40


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus()


def test_vectors_are_of_unit_length_and_clustered_by_document(corpus: Corpus) -> None:
    one, other = corpus.vectors(1), corpus.vectors(2)
    assert np.allclose(np.linalg.norm(one, axis=1), 1.0, atol=1e-5)
    assert (one @ one.T)[~np.eye(CHUNKS, dtype=bool)].mean() > (one @ other.T).mean() + 0.3


def test_a_question_is_nearest_to_a_chunk_of_its_own_team(corpus: Corpus) -> None:
    for question in corpus.questions(DOCUMENTS, 20):
        scores = {number: float((corpus.vectors(number) @ question.vector).max()) for number in range(DOCUMENTS)}
        assert team_of(max(scores, key=lambda number: scores[number])) == MINE.team


def test_exact_search_finds_what_comparing_all_at_once_finds(corpus: Corpus) -> None:
    questions = corpus.questions(DOCUMENTS, 5)
    nearest = Nearest(MINE, questions)
    for number in range(DOCUMENTS):
        nearest.see([number], corpus)
    numbers = [number for number in range(DOCUMENTS) if admitted(MINE, number)]
    places = np.concatenate([np.arange(number * CHUNKS, (number + 1) * CHUNKS) for number in numbers])
    everything = np.concatenate([corpus.vectors(number) for number in numbers])
    for question, found in zip(questions, nearest.found(), strict=True):
        assert found == set(places[np.argsort(-(everything @ question.vector))[:10]].tolist())


def test_the_filter_admits_one_chunk_in_twenty() -> None:
    mine = [number for number in range(20_000) if admitted(MINE, number)]
    assert 0.04 < sum(admitted(FILTERED, number) for number in mine) / len(mine) < 0.06


def test_a_small_index_is_written_and_searched_without_loss(tmp_path: Path) -> None:
    written = write(str(tmp_path), DOCUMENTS, questions=6)
    figures = search(str(tmp_path), DOCUMENTS, written.truth)
    assert {name: figures[f"recall@10, {name}"] for name in written.truth} == dict.fromkeys(written.truth, 1.0)
    assert figures["vector index"] == "none"
    assert sum(disk(tmp_path).values()) > DOCUMENTS * CHUNKS * 1_536
    assert "| disk per chunk, KiB | " in table({DOCUMENTS * CHUNKS: {**written.figures, **figures}})


def test_what_is_kept_is_searched_again_without_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOOTNOTE_BENCH_DIR", str(tmp_path))
    monkeypatch.setenv("FOOTNOTE_BENCH_KEEP", "1")
    size = DOCUMENTS * CHUNKS
    main([size], questions=6)
    files = {path: path.stat().st_mtime_ns for path in kept(tmp_path, size).rglob("*.lance")}
    main([size], questions=6)
    assert files
    assert {path: path.stat().st_mtime_ns for path in kept(tmp_path, size).rglob("*.lance")} == files
    assert capsys.readouterr().out.count("| recall@10, filter | 1 |") == 2


def test_what_was_not_found_lowers_the_recall() -> None:
    assert recall([{1, 2}, {9}], [frozenset({1, 2}), frozenset({3, 4})]) == 0.5
    assert unit(np.ones((1, 4), dtype=np.float32)).tolist() == [[0.5] * 4]


def test_too_small_a_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="FOOTNOTE_BENCH_DIR"):
        need(10**15, tmp_path)


def test_figures_are_shown_with_three_digits() -> None:
    assert [shown(one) for one in ("none", 1234.5, 12.345, 0.01234)] == ["none", "1,234", "12.3", "0.0123"]
