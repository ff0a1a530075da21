"""What a Home shows, and what is typed into the form for adding documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.blocks import section
from bot.commands import MAX_TITLE, CommandError, quoted, read_ingest, words_of
from bot.database import build_engine
from bot.home import MAX_BLOCKS, Contents, Recently, home_blocks
from bot.home_jobs import Turnstile
from bot.ingest_form import FormPlace, ingest_form, problems_of, read_form
from bot.recent import Recent
from bot.sandbox.rules import check_view
from bot.store import Answer, Store
from bot.wish import read_wish
from tests.fakes.backend_server import document

texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=200)


# ------------------------------------------------------------------------------------------------------------- the Home


@given(texts, texts)
def test_slack_takes_a_home_whatever_was_asked_and_however_documents_are_called(question: str, title: str) -> None:
    documents = [msgspec.structs.replace(document(str(n), title=title), reason=title * 3) for n in range(60)]
    recent = [Recently(question, "answered", 1.0, "https://x.example/p1", "C1")] * 60
    contents = Contents([(title, question)] * 4, recent, documents, below=[section("x")] * 100)
    shown = home_blocks(contents)
    assert len(shown) <= MAX_BLOCKS
    check_view({"type": "home", "blocks": shown})
    check_view({"type": "home", "blocks": home_blocks(Contents(recent=None, documents=None))})


def test_who_gets_no_answers_sees_why_and_nothing_else() -> None:
    shown = str(home_blocks(Contents([("a", "b")], [Recently("mine", "answered", 1.0)], refused="No guests.")))
    assert "No guests." in shown
    assert "mine" not in shown
    assert "home_ask" not in shown


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    engine = build_engine(tmp_path / "bot.sqlite")
    store = Store(engine)
    await store.create_tables()
    yield store
    await engine.dispose()


async def test_what_somebody_asked_lately_is_theirs_newest_first_and_once_each(store: Store) -> None:
    for ts, run, asker in (("1.0", "r1", "U1"), ("1.1", "r1", "U1"), ("2.0", "r2", "U2"), ("3.0", "", "U1")):
        await store.put_answer(Answer("T1", "C1", ts, "1.0", run, asker))
    await store.put_answer(Answer("T1", "C1", "9.trigger", "", "r4", "U1"))
    await store.put_answer(Answer("T2", "C1", "1.0", "1.0", "r5", "U1"))
    found = await Recent(store.engine).questions("T1", "U1", 5)
    assert [(one.run_id, one.ts, one.is_whispered) for one in found] == [
        ("r4", "9.trigger", True),
        ("r1", "1.0", False),
    ]
    assert len(await Recent(store.engine).questions("T1", "U1", 1)) == 1


async def test_a_home_is_known_from_its_first_visit(store: Store) -> None:
    recent = Recent(store.engine)
    assert await recent.visited("T1", "U1") is None
    await recent.note_visit("T1", "U1")
    first = await recent.visited("T1", "U1")
    await recent.note_visit("T1", "U1")
    assert first
    assert (await recent.visited("T1", "U1") or 0.0) >= first
    assert await recent.visited("T2", "U1") is None


async def test_of_many_who_want_the_same_one_waits_and_the_others_leave_it_to_them() -> None:
    turnstile = Turnstile(apart=0.05)
    assert await turnstile.admits("a")
    assert sorted(await asyncio.gather(*(turnstile.admits("a") for _ in range(9)))) == [False] * 8 + [True]
    assert await turnstile.admits("b")


# ------------------------------------------------------------------------------------------------------------- the form


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=200))
def test_whatever_is_a_title_arrives_as_it_was_typed(title: str) -> None:
    view = filled(links="https://a.example", title=title)
    place, text = read_form(view)
    assert place == FormPlace("C1", "https://hooks.example")
    if problems_of(text) == {}:
        assert read_ingest(text).title == " ".join(title.split())
        assert read_ingest(text).urls == ("https://a.example",)
    else:
        assert list(problems_of(text)) == ["title"]


def filled(**said: str) -> dict[str, object]:
    form = ingest_form(FormPlace("C1", "https://hooks.example"))
    check_view(form)
    values = {name: {name: {"value": value}} for name, value in said.items()}
    return form | {"state": {"values": values}}


def test_only_in_a_channel_a_document_can_be_kept_to_its_readers() -> None:
    for channel, offered in (("C1", True), ("D1", False), ("", False)):
        assert ("This channel only" in str(ingest_form(FormPlace(channel)))) == offered


def test_quotation_marks_keep_words_together() -> None:
    assert words_of('a title:"b c" “d e” f"') == ["a", 'title:"b c"', "“d e”", 'f"']
    assert words_of('x title:"a ' + '\\"' * 20_000) != []
    command = read_ingest('https://a.example title:“Parental leave” author:"Ana Li,Ben" tags:hr date:2026-03-01')
    assert (command.title, command.authors, command.tags) == ("Parental leave", ("Ana Li", "Ben"), ("hr",))
    assert command.metadata == {"tags": ["hr"], "author": ["Ana Li", "Ben"], "published_at": "2026-03-01"}
    assert quoted('a "b" \\') == '"a \\"b\\" \\\\"'


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("https://a.example date:yesterday", "date"),
        ("https://a.example date:2026-02-30", "date"),
        (f"https://a.example title:{'x' * (MAX_TITLE + 1)}", "title"),
        ("site https://a.example title:x", "title"),
        ("https://a.example https://b.example title:x", "title"),
        (f"https://a.example author:{'x' * 101}", "author"),
        ("https://a.example refresh:0d", "refresh"),
        ("https://a.example visibility:all", "visibility"),
        ("not-an-address", ""),
        ("", ""),
    ],
)
def test_what_is_wrong_is_known_by_its_option(text: str, about: str) -> None:
    with pytest.raises(CommandError) as raised:
        read_ingest(text)
    assert raised.value.about == about


def test_a_mention_may_say_the_title_too() -> None:
    wish = read_wish('<@B> add <https://a.example> title:"Parental leave"', "B", has_files=False)
    assert wish == 'https://a.example title:"Parental leave"'
    assert read_ingest(wish or "").title == "Parental leave"
    assert read_wish('<@B> what does "ingest this" mean?', "B", has_files=False) is None
