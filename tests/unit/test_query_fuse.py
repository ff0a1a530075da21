"""What lifts a passage in the fusion beside its two ranks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import Passage
from backend.languages import STOP_WORDS, language_of, light_stem, searched, stems_beside
from backend.query.fuse import fuse
from backend.query.identifiers import identifiers
from backend.query.parents import GAP, beside
from backend.query.words import content_words
from tests.fakes.story import passage_of, vector_of


def order(question: str, near: list[Passage], worded: list[Passage]) -> list[str]:
    return [one.chunk_id for one in fuse(question, vector_of(question), [near], [worded], full=60)]


# -------------------------------------------------------------------------------------------------------- what counts


def test_nothing_found_is_nothing_fused() -> None:
    assert fuse("x", vector_of("x"), [[]], [[]], full=60) == []


def test_a_leg_that_found_all_that_match_measures_from_nothing_and_not_from_its_last() -> None:
    found = [passage_of("Alpha.", chunk_id="a", score=10), passage_of("Beta.", chunk_id="b", score=9)]
    first, second = fuse("gamma", vector_of("gamma"), [[]], [found], full=60)
    cut = fuse("gamma", vector_of("gamma"), [[]], [found], full=2)
    assert first.score - second.score < cut[0].score - cut[1].score


def test_a_document_that_the_best_passage_names_rises() -> None:
    first = passage_of("Lothair was a son of Ermengarde of Tours.", title="Lothair II", chunk_id="a", score=1.0)
    other = passage_of("He ruled long.", title="Charles the Bald", chunk_id="b", score=0.5)
    named = passage_of("She died in 851.", title="Ermengarde of Tours", chunk_id="c", score=0.2)
    unnamed = replace(named, title="Judith of Bavaria")
    assert order("Lothair II mother", [first, other, named], [first]) == ["a", "c", "b"]
    assert order("Lothair II mother", [first, other, unnamed], [first]) == ["a", "b", "c"]


def test_a_title_that_the_question_names_counts() -> None:
    passages = [passage_of("It is long.", title=title, chunk_id=title, score=1) for title in ("Canteen", "Vacation")]
    assert order("What about vacation?", passages, [])[0] == "Vacation"


@pytest.mark.parametrize("question", ["What does SKU-12 cost?", "what does sku 12 cost?", "price of SKU0012"])
def test_an_identifier_is_not_its_neighbour(question: str) -> None:
    texts = {"SKU-13": "SKU-13 costs 12 euros.", "SKU-12": "For SKU-12 see the list.", "SKU-120": "SKU-120 costs 2."}
    passages = [passage_of(text, chunk_id=name, score=1) for name, text in texts.items()]
    assert order(question, passages, [])[0] == "SKU-12"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1)), max_size=8), st.text(max_size=40))
def test_fusing_keeps_every_passage_once_in_order(found: list[tuple[str, float]], question: str) -> None:
    leg = [passage_of(f"Text {name}.", chunk_id=name, score=score) for name, score in found]
    fused = fuse(question, vector_of(question), [leg], [leg[::-1]], full=3)
    assert sorted(one.chunk_id for one in fused) == sorted({name for name, _ in found})
    assert [one.score for one in fused] == sorted((one.score for one in fused), reverse=True)


# --------------------------------------------------------------------------------------------------------- identifiers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PEP-0584, PEP 584 and pep584", {"pep584"}),
        ("error E-1042", {"e1042"}),
        ("CVE-2024-12345.", {"cve2024-12345"}),
        ("runs on prod-eu-west-1", {"prod-eu-west1"}),
        ("v2.3.1", {"2.3.1"}),
        ("0x80070005", {"0x80070005"}),
        ("AWS_ERR_12", {"aws_err_12"}),
        ("page 12 of May 2023", set()),
        ("1,500 euros, 20 weeks", set()),
    ],
)
def test_identifiers_are_one_however_they_are_written(text: str, found: set[str]) -> None:
    assert identifiers(text) == found


# ------------------------------------------------------------------------------------------------------------ languages


@pytest.mark.parametrize(
    ("question", "language", "word"),
    [
        ("Wie viele Urlaubstage habe ich im Jahr?", "de", "urlaubstag"),
        ("Combien de jours de congé ai-je par an ?", "fr", "jour"),
        ("¿Cuántos días de vacaciones tengo?", "es", "vacaciones"),
        ("Quanti giorni di ferie ho?", "it", "giorn"),
        ("Quantos dias de férias tenho por ano?", "pt", "férias"),
        ("Hoeveel vakantiedagen heb ik?", "nl", "vakantiedag"),
        ("Hur många semesterdagar har jag?", "sv", "semesterdag"),
        ("How many days of vacation do I have?", "en", "vacation"),
        ("die casting", "en", "die"),
    ],
)
def test_what_is_searched_are_the_words_and_stems_of_the_questions_language(
    question: str, language: str, word: str
) -> None:
    assert language_of(question) == language
    words = searched(question).lower().split()
    assert word in words
    assert language == "en" or not STOP_WORDS[language] & {one.strip("?¿") for one in words}


def test_stop_words_of_a_questions_language_carry_no_meaning() -> None:
    assert content_words("Wie viele Tage habe ich im Jahr?") == {"tag", "jahr"}


def test_a_question_of_nothing_but_stop_words_is_searched_as_it_is() -> None:
    assert searched("Was ist das?") == "Was ist das?"


def test_inflections_meet_in_their_stem_and_short_words_keep_theirs() -> None:
    assert light_stem("urlaubstage", "de") == light_stem("urlaubstagen", "de") == "urlaubstag"
    assert light_stem("rede", "de") == "rede"
    assert light_stem("days", "en") == "days"
    assert stems_beside("Days off.", "en") == stems_beside("Days off.", "") == ""


# -------------------------------------------------------------------------------------------------------------- parents


def at(position: int, *, section: str = "s") -> Passage:
    return replace(
        passage_of("Some words here.", chunk_id=f"{section}{position}"), section_id=section, position=position
    )


def test_hits_that_are_close_grow_together() -> None:
    section = [at(position) for position in range(12)]
    near = beside([section[2], section[2 + GAP + 1]], section, budget=1000)
    assert sorted(one.position for one in near) == [1, 3, 4, 6]
    apart = beside([section[2], section[2 + GAP + 3]], section, budget=1000)
    assert sorted(one.position for one in apart) == [1, 3, 6, 8]


def test_neighbours_never_take_more_than_the_budget_and_the_best_come_first() -> None:
    section = [at(position) for position in range(8)]
    best, second = replace(section[1], score=2.0), replace(section[5], score=1.0)
    near = beside([best, second], section, budget=10)
    assert [one.position for one in near] == [0, 2]
    assert beside([best], section, budget=3) == ()
