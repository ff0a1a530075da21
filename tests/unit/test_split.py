"""Extracted text → chunks."""

from __future__ import annotations

import re
import time
from itertools import groupby

from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.domain import Chunk, Extracted
from backend.ingest.split import page_at, split


def words(text: str) -> int:
    return len(text.split())


def chunks(text: str, *, title: str = "", limit: int = 240) -> tuple[Chunk, ...]:
    return split(Extracted(text, title), count_tokens=words, max_tokens=limit)


def quotes(chunk: Chunk) -> list[str]:
    return [chunk.text[start:end] for start, end in chunk.sentences]


def test_headings_make_sections_with_a_path() -> None:
    text = "Intro.\n\n# Leave\n\nA.\n\n## Parental leave ##\n\nB.\n\nSick\n----\n\nC.\n\n# Pay\n\nD."
    assert [(c.heading, c.text) for c in chunks(text)] == [
        ("", "Intro."),
        ("Leave", "A."),
        ("Leave › Parental leave", "B."),
        ("Leave › Sick", "C."),
        ("Pay", "D."),
    ]
    assert [c.section for c in chunks(text)] == [0, 1, 2, 3, 4]


def test_a_heading_that_repeats_the_title_is_left_out_of_the_path() -> None:
    found = chunks("# Staff  handbook\n\nA.\n\n## Leave\n\nB.", title="Staff Handbook")
    assert [c.heading for c in found] == ["", "Leave"]


def test_a_heading_in_a_code_fence_is_code() -> None:
    (found,) = chunks("# Setup\n\n```sh\n# not a heading\nmake run\n\nmake test\n```")
    assert found.text == "# not a heading\nmake run\n\nmake test"
    assert quotes(found) == ["# not a heading", "make run", "make test"]


def test_a_heading_with_nothing_under_it_is_text() -> None:
    found = chunks("# A\n\n# B\n\n## C\n\nText.\n\n## Call 112")
    assert [(c.heading, c.text) for c in found] == [("A", "A"), ("B › C", "Text."), ("B › Call 112", "Call 112")]


def test_inline_markup_becomes_plain_text() -> None:
    (found,) = chunks(
        "Ask **Ana** at [the *desk*](http://x/y), see ![a map](m.png); run `make`\nnow <b>or</b> <your-name>. "
        "{{< note >}}"
    )
    assert found.text == "Ask Ana at the desk, see a map; run make now or <your-name>."


def test_lists_keep_markers_and_nesting() -> None:
    (found,) = chunks("- one. More.\n- two\n  1. first\n  2. second\n\n     still second\n- three\n\nAfter.")
    assert found.text == "- one. More.\n- two\n  1. first\n  2. second\n    still second\n- three\nAfter."
    assert quotes(found) == ["one.", "More.", "two", "first", "second", "still second", "three", "After."]


def test_table_rows_are_lines_and_sentences() -> None:
    (found,) = chunks("| Plan | Price |\n|---|---|\n| Pro. A | **12** EUR |")
    assert found.text == "| Plan | Price |\n| Pro. A | 12 EUR |"
    assert quotes(found) == ["| Plan | Price |", "| Pro. A | 12 EUR |"]


TABLE = "| Plan | Price per month |\n|---|---|\n" + "".join(f"| Plan {i} | {i} EUR |\n" for i in range(60))


def test_a_table_that_is_split_leads_every_part_with_its_header() -> None:
    found = chunks(f"Prices.\n\n{TABLE}\nAfter the table. " + "More. " * 60, limit=70)
    rows = [c for c in found if c.text.startswith("| Plan ") and c.start]
    assert len(rows) > 5
    assert {c.lead for c in rows} == {"| Plan | Price per month |"}
    assert found[0].lead == found[-1].lead == ""
    assert all(words(c.lead) + words(c.text) <= 70 for c in found)
    assert all(line.startswith("|") and line.endswith("|") for c in rows for line in c.text.splitlines()[:5])
    assert "".join(c.text for c in found).count("Price per month") == 1


def test_a_header_is_repeated_in_its_own_table_only_and_in_no_code() -> None:
    second = TABLE.replace("Price per month", "Seats")
    code = "```\n" + "".join(f"| x | {i} |\n" for i in range(60)) + "```"
    found = chunks(f"{TABLE}\n{second}\n{code}", limit=70)
    leads = [c.lead for c in found if c.text.startswith("| Plan 3")]
    assert set(leads) <= {"| Plan | Price per month |", "| Plan | Seats |", ""}
    assert [lead for lead, _ in groupby(c.lead for c in found)][-1] == ""
    seats = next(place for place, c in enumerate(found) if "Seats" in c.text)
    assert all(c.lead != "| Plan | Price per month |" for c in found[seats + 1 :])


def test_a_header_without_words_or_beyond_a_third_of_a_chunk_is_not_repeated() -> None:
    blank, long = "|  |  |", f"| {'wide ' * 40} | b |"
    for header in (blank, long):
        rows = "".join(f"| a{i} | b |\n" for i in range(60))
        assert {c.lead for c in chunks(f"{header}\n|---|---|\n{rows}", limit=90)} == {""}


def test_hard_breaks_stay_and_html_blocks_give_their_text() -> None:
    (found,) = chunks("Line one\\\nline two\n\n<div>\n<p>Boxed <b>text</b>.</p>\n</div>\n\n<!-- hidden -->")
    assert found.text == "Line one\nline two\nBoxed text ."


def test_sentences_are_packed_into_the_budget_without_being_cut() -> None:
    found = chunks("# Head\n\n" + "One two three four. " * 10, limit=60)
    assert [words(c.text) for c in found] == [40]
    found = chunks("One two three four. " * 30, limit=50)
    assert [words(c.text) for c in found] == [48, 48, 24]
    assert all(c.text.rstrip().endswith(".") for c in found)


def test_a_sentence_beyond_the_budget_is_cut_between_words() -> None:
    found = chunks("word " * 130, limit=50)
    assert [words(c.text) for c in found] == [50, 50, 30]
    assert all(quotes(c) == [c.text.strip()] for c in found)


def test_a_list_item_stays_with_its_marker() -> None:
    found = chunks("\n".join(f"- item {i} is here" for i in range(40)), limit=50)
    assert all(c.text.startswith("- item") for c in found)


def test_one_endless_word_is_cut_by_length() -> None:
    found = split(Extracted("x" * 100_000), count_tokens=lambda text: len(text) // 4)
    assert all(len(c.text) <= 4 * 240 for c in found)
    assert "".join(c.text for c in found) == "x" * 100_000


def test_chunks_know_their_page() -> None:
    text = "# A\n\nFirst page.\n\nSecond page starts.\n\n# B\n\nThird."
    pages = ((0, 1), (text.index("Second"), 2), (text.index("# B"), 7))
    found = split(Extracted(text, pages=pages), count_tokens=words, max_tokens=3)
    assert [(c.text.strip(), c.page) for c in found] == [("First page.", 1), ("Second page starts.", 2), ("Third.", 7)]
    assert chunks(text)[0].page is None
    assert [page_at(((5, 1), (9, 2)), offset) for offset in (4, 5, 8, 9, 99)] == [None, 1, 1, 2, 2]


def test_a_chunk_ends_with_its_page_unless_hardly_anything_was_on_it() -> None:
    first, rest = "One two three four five six.", "Seven eight nine. Ten eleven twelve."
    text = f"{first}\n\n{rest}"
    turned = ((0, 1), (text.index("Seven"), 2))
    assert [
        (c.text.strip(), c.page) for c in split(Extracted(text, pages=turned), count_tokens=words, max_tokens=20)
    ] == [
        (first, 1),
        (rest, 2),
    ]
    (whole,) = split(Extracted(text, pages=turned), count_tokens=words, max_tokens=100)
    assert (whole.text.split(), whole.page) == (text.split(), 1)
    (end,) = split(Extracted(f"End.\n\n{rest}", pages=((0, 1), (6, 2))), count_tokens=words, max_tokens=20)
    assert end.page == 2


def test_nothing_gives_no_chunks() -> None:
    assert chunks("") == chunks("\n\n---\n\n") == chunks("<!-- only a comment -->") == ()


MARKDOWN = st.lists(
    st.sampled_from(
        [
            *(
                "# A\n\n",
                "## B b\n",
                "\n\n",
                "\n",
                "- item. Two\n",
                "  1. nested\n",
                "| a | b |\n|---|---|\n| 1 | 2 |\n",
            ),
            *(
                "```\ncode\n\nmore\n```\n",
                "Some words here. ",
                "e.g. Dr. No? ",
                "**bold** ",
                "<div>x</div>\n",
                "> quote\n",
            ),
            *("word " * 30, "é👍。", "[l](u) ", "---\n", "    indented\n", "\\\n", "x" * 900, "\t", "<!-- c -->"),
        ]
    ),
    max_size=25,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(MARKDOWN | st.text(max_size=200), st.integers(5, 60))
@example("e.g. Dr. No? e.g. Dr. No? ---\n", 6)
def test_chunks_of_a_section_are_whole_and_without_overlap(text: str, limit: int) -> None:
    found = chunks(text, limit=limit)
    assert [c.position for c in found] == list(range(len(found)))
    for _, group in groupby(found, key=lambda c: c.section):
        section = list(group)
        whole = "".join(c.text for c in section)
        assert all(whole[c.start : c.start + len(c.text)] == c.text for c in section)
        assert len({c.heading for c in section}) == 1
    for chunk in found:
        assert words(chunk.text) <= max(limit, 48)
        assert chunk.sentences
        assert list(chunk.sentences) == sorted(chunk.sentences)
        assert all(quote == quote.strip() != "" for quote in quotes(chunk))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,12}", fullmatch=True), min_size=1, max_size=120), st.integers(5, 40))
def test_no_word_of_prose_is_lost(prose: list[str], limit: int) -> None:
    text = re.sub(r"(\w+ \w+ \w+)", r"\1.", " ".join(prose))
    assert "".join(c.text for c in chunks(text, limit=limit)) == text


def test_a_megabyte_is_split_in_seconds_with_one_count_per_sentence() -> None:
    calls = 0

    def count(text: str) -> int:
        nonlocal calls
        calls += 1
        return len(text) // 4

    paragraph = "The quick brown fox jumped. " + "More words follow in this one. " * 20
    text = "\n\n".join(f"## Part {i}\n\n{paragraph}\n\n- item" for i in range(1_500))
    began = time.process_time()
    found = split(Extracted(text), count_tokens=count)
    assert time.process_time() - began < 4
    assert calls <= sum(len(c.sentences) for c in found) + 1_500


def test_hostile_brackets_do_not_stall() -> None:
    began = time.process_time()
    chunks("[" * 50_000 + " a")
    assert time.process_time() - began < 3
