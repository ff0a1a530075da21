from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from backend.query.generate import Drafted, cut_sentences, drafted_sentences

DRAFT = """# Leave
Leave is 20 days [1]. Ask Dr. Smith first.[2] Then go on [1][3].

Steps:
- Open the app [1]
- Press **Go**. [2]

| a | b |
|---|---|
| 1 | 2 |
[4]
```py
x = 1
```
Done [2, 5]."""


async def _pieces(pieces: Sequence[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


async def test_sentences_come_with_the_markers_that_follow_them() -> None:
    drafted = [one async for one in drafted_sentences(_pieces([DRAFT]))]
    assert [(one.text, one.markers) for one in drafted] == [
        ("Leave is 20 days.", (1,)),
        ("Ask Dr. Smith first.", (2,)),
        ("Then go on.", (1, 3)),
        ("Steps:", ()),
        ("Open the app", (1,)),
        ("Press **Go**.", (2,)),
        ("| a | b |\n|---|---|\n| 1 | 2 |", (4,)),
        ("```py\nx = 1\n```", ()),
        ("Done.", (2, 5)),
    ]
    assert [one.lead for one in drafted[3:6]] == ["\n\n", "\n- ", "\n- "]
    assert [one.block for one in drafted[6:]] == [True, True, False]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=200))
def test_how_a_draft_is_cut_into_pieces_changes_nothing(sizes: list[int]) -> None:
    whole, _ = cut_sentences(DRAFT)
    pieced: list[Drafted] = []
    buffer, at, begun = "", 0, False
    for size in sizes:
        buffer += DRAFT[at : at + size]
        at += size
        ready, rest = cut_sentences(buffer, begun=begun, final=False)
        begun, buffer = begun or len(rest) < len(buffer), rest
        pieced += ready
    pieced += cut_sentences(buffer + DRAFT[at:], begun=begun)[0]
    assert pieced == whole


def test_a_sentence_waits_for_a_marker_that_is_cut_in_two() -> None:
    assert cut_sentences("It is done. [1", final=False)[0] == []
    ready, rest = cut_sentences("It is done. [1] Then the next one", final=False)
    assert [(one.text, one.markers) for one in ready] == [("It is done.", (1,))]
    assert rest.strip() == "Then the next one"


def test_no_answer_is_no_sentence() -> None:
    assert cut_sentences("NO_ANSWER")[0] == []


@given(st.text(max_size=300))
def test_any_text_is_cut_to_its_end(text: str) -> None:
    ready, rest = cut_sentences(text)
    assert rest == ""
    assert all(one.text.strip() for one in ready)
