"""Where sentences end, and where they do not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.sentences import sentence_spans, sentences

CASES = [
    ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
    ("Dr. Smith met Mrs. Jones. They spoke.", ["Dr. Smith met Mrs. Jones.", "They spoke."]),
    ("It costs 3.5 EUR, e.g. in v2.3.1. Fine.", ["It costs 3.5 EUR, e.g. in v2.3.1.", "Fine."]),
    ("The U.S. Army left. In the U.S. They stayed.", ["The U.S. Army left.", "In the U.S.", "They stayed."]),
    ("J. R. R. Tolkien wrote. Vitamin C. The end", ["J. R. R. Tolkien wrote.", "Vitamin C.", "The end"]),
    ("See https://a.b/c.html. Done.", ["See https://a.b/c.html.", "Done."]),
    ("See Fig. 3 and No. 5. The answer is no. We left.", ["See Fig. 3 and No. 5.", "The answer is no.", "We left."]),
    ("At 5 p.m. sharp. At 6 p.m. Then home.", ["At 5 p.m. sharp.", "At 6 p.m.", "Then home."]),
    ('He said "Stop." Then (quietly.) left.', ['He said "Stop."', "Then (quietly.) left."]),
    ('"Why?" he asked. Wait... What? Well… maybe.', ['"Why?" he asked.', "Wait...", "What?", "Well… maybe."]),
    ("First [1]. Second.[2] Third. [3] Fourth.", ["First [1].", "Second.[2]", "Third. [3]", "Fourth."]),
    ("Step 1. Click it. In 2020. The end", ["Step 1. Click it.", "In 2020.", "The end"]),
    ("Acme Inc. Revenue grew. Acme Inc. The end.", ["Acme Inc. Revenue grew.", "Acme Inc.", "The end."]),
    ("Er kam am 3. Mai an. Dann z.B. so.", ["Er kam am 3. Mai an.", "Dann z.B. so."]),
    ("これは文です。次の文！最後？終わり", ["これは文です。", "次の文！", "最後？", "終わり"]),
    ("यह है। अच्छा। هل؟ نعم.", ["यह है।", "अच्छा।", "هل؟", "نعم."]),
    ("- First item. More.\n  * nested\n1. number\n- [x] done", ["First item.", "More.", "nested", "number", "done"]),
    ("| a. B. | c |\n| --- | --- |\n| 1 | 2 |", ["| a. B. | c |", "| 1 | 2 |"]),
    ("```\nx = 1\n```\n\n---\n", ["x = 1"]),
    ("We ship daily. iPhone users wait. will do", ["We ship daily.", "iPhone users wait.", "will do"]),
    ("", []),
    (" \n\t\n", []),
    ("...", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_text_is_cut_into_its_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


ALPHABET = st.sampled_from([*"abzAZ059 .!?…。।()[]\"'*-|\n\t", "e.g.", "Dr.", "[1]", ". The ", "\u00a0", "👍"])


@given(st.lists(ALPHABET, max_size=60).map("".join) | st.text(max_size=80))
def test_spans_are_trimmed_ordered_and_keep_every_word(text: str) -> None:
    spans = sentence_spans(text)
    end = 0
    for start, stop in spans:
        assert end <= start < stop <= len(text)
        assert text[start:stop] == text[start:stop].strip()
        assert "\n" not in text[start:stop]
        assert any(character.isalnum() for character in text[start:stop])
        end = stop
    inside = sum(character.isalpha() for start, stop in spans for character in text[start:stop])
    assert inside >= sum(character.isalpha() for character in text) - sum(len(line) > 0 for line in text.split("\n"))


@pytest.mark.parametrize("unit", [".", "!)", "(", "。", "a . ", "[1]", "x. [1] ", "- ", "1. ", ". ", "a.b.", "\n"])
def test_hostile_repetition_takes_linear_time(unit: str) -> None:
    began = time.process_time()
    sentence_spans(unit * 50_000 + "x")
    assert time.process_time() - began < 2
