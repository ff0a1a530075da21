import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.query.cite import Citations, render
from backend.query.generate import Drafted, cut_sentences
from backend.query.verify import Support, verify
from tests.fakes.story import evidence_of, vector_of

LEAVE = "Employees get 20 weeks of parental leave. The leave must be agreed with Ana Lopez. It is not paid in Berlin."
BADGES = "New badges are processed every Wednesday. Bring two forms of identification."
EVIDENCE = evidence_of(LEAVE, BADGES)


def _verify(text: str, *markers: int) -> tuple[Support, ...]:
    return verify(Drafted(text, markers), vector_of(text), EVIDENCE).shown


def _quote(support: Support) -> str:
    passage = EVIDENCE[support.n - 1].passage
    return passage.text[slice(*support.quote)]


def test_a_copied_sentence_is_supported_by_itself() -> None:
    (support,) = verify(Drafted("Employees get 20 weeks of parental leave.", (1,)), None, EVIDENCE).shown
    assert (support.n, _quote(support)) == (1, "Employees get 20 weeks of parental leave.")


def test_a_paraphrase_in_the_passages_words_is_supported() -> None:
    (support,) = _verify("Parental leave is 20 weeks for employees.", 1)
    assert _quote(support) == "Employees get 20 weeks of parental leave."


@pytest.mark.parametrize(
    "text",
    [
        "Employees get 26 weeks of parental leave.",
        "The leave must be agreed with Bob Lopez.",
        "Employees in Paris get 20 weeks of parental leave.",
        "The cafeteria serves lunch from noon.",
    ],
)
def test_what_the_passage_does_not_say_is_not_supported(text: str) -> None:
    assert _verify(text, 1) == ()


def test_negation_must_agree() -> None:
    assert _verify("Parental leave is paid in Berlin.", 1) == ()


def test_a_wrong_or_missing_marker_is_put_right() -> None:
    for markers in ((), (2,), (7,)):
        (support,) = _verify("Employees get 20 weeks of parental leave.", *markers)
        assert support.n == 1


def test_text_without_content_is_never_shown() -> None:
    assert _verify("It is so.", 1) == ()
    assert _verify("— … !", 1) == ()


@given(st.text(max_size=80) | st.sampled_from([LEAVE, BADGES]), st.lists(st.integers(-1, 4), max_size=3))
def test_a_quote_always_stands_in_its_passage(text: str, markers: list[int]) -> None:
    supports = _verify(text, *markers)
    cited, numbers = Citations().cite(supports, EVIDENCE)
    assert len(numbers) <= len(supports)
    for citation in cited.listed():
        (passage,) = [one.passage for one in EVIDENCE if one.passage.chunk_id == citation.chunk_id]
        assert citation.quote
        assert citation.quote in passage.text


def test_numbers_shown_follow_first_appearance() -> None:
    first, shown = Citations().cite((Support(2, (0, 10), 2.0),), EVIDENCE)
    both, again = first.cite((Support(1, (0, 10), 2.0), Support(2, (0, 5), 2.0)), EVIDENCE)
    assert (shown, again) == ((1,), (2, 1))
    assert [one.document_id for one in both.listed()] == ["d-c2", "d-c1"]


def test_a_quote_that_would_grow_too_long_gets_a_number_of_its_own() -> None:
    long = evidence_of("First fact here. " + "Filler words go on and on. " * 40 + "Last fact here.")
    end = len(long[0].passage.text)
    first, _ = Citations().cite((Support(1, (0, 16), 2.0),), long)
    both, shown = first.cite((Support(1, (end - 15, end), 2.0),), long)
    assert shown == (2,)
    assert [one.quote for one in both.listed()] == ["First fact here.", "Last fact here."]


@pytest.mark.parametrize(
    ("drafted", "shown"),
    [
        (Drafted("It is done."), "It is done [1][2]."),
        (Drafted("Open the app", lead="\n- "), "\n- Open the app [1][2]"),
        (Drafted("You need:", lead=" "), " You need [1][2]:"),
        (Drafted("| a |\n|---|", lead="\n\n", block=True), "\n\n| a |\n|---|\n[1][2]"),
        (Drafted("See <https://evil.example|this>."), "See this [1][2]."),
    ],
)
def test_markers_stand_in_front_of_the_full_stop(drafted: Drafted, shown: str) -> None:
    assert render(drafted, (1, 2)) == shown


@pytest.mark.parametrize(
    "written", ["The index rises .", "See the [Guild]() page.", "It\u00a0is done. Staff are told."]
)
def test_a_copy_is_known_however_its_spaces_and_lost_links_are_written(written: str) -> None:
    evidence = evidence_of(f"Once upon a time. {written} Then it ends.")
    for drafted in cut_sentences(" ".join(f"{written} [1]".split()))[0]:
        (support,) = verify(drafted, None, evidence).shown
        assert support.n == 1


def test_a_part_of_a_sentence_is_no_copy_of_it() -> None:
    evidence = evidence_of("It is not true that badges are free.")
    assert verify(Drafted("Badges are free.", (1,)), None, evidence).shown == ()
    assert verify(Drafted("badges are free.", (1,)), None, evidence).shown == ()
    paid = evidence_of("They paid $2.5 million in all.")
    assert verify(Drafted("5 million in all.", (1,)), None, paid).shown == ()
