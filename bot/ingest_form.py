"""The form for adding documents. What is filled in becomes the words of an `/ingest` command. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from bot import blocks
from bot.commands import CommandError, quoted, read_ingest
from bot.modals import View, input_of, modal, value_of
from bot.slack import Block

INGEST_FORM = "ingest_form"
"""The callback id of the form, of the global shortcut that opens it, and the action id of the button that does."""
MAX_LINKS = 3_000
"""Characters of a text input, Slack's own limit."""

KINDS = {"page": "One document each", "site": "A whole site", "feed": "An RSS or Atom feed", "zip": "A zip of pages"}
REFRESH = {"never": "Never", "1d": "Every day", "7d": "Every week", "30d": "Every month"}
FIELDS = frozenset({"visibility", "refresh", "tags", "title", "author", "date"})
"""Fields that are called like the option of the command that they become."""
READERS = {"team": "The whole team", "channel": "This channel only", "private": "Only me"}


class FormPlace(msgspec.Struct, frozen=True):
    """Where the form was opened. `channel` is "" where that was in none: then the report goes to the asker's direct
    messages."""

    channel: str = ""
    response_url: str = ""

    @property
    def has_readers(self) -> bool:
        """Whether it is a channel, to whose readers a document can be kept."""
        return bool(self.channel) and not self.channel.startswith("D")


def ingest_form(place: FormPlace) -> Block:
    """Return the form, empty."""
    readers = {name: words for name, words in READERS.items() if name != "channel" or place.has_readers}
    links = "One or more addresses, with spaces or new lines between them. For files, share them with me in Slack."
    many = "A site, a feed or a zip takes one link. I read its first 50 pages; write pages:200 after it for more."
    fields = [
        input_of("links", "Links", links, limit=MAX_LINKS, multiline=True),
        _choice("kind", "Each link leads to", KINDS, many),
        _choice("visibility", "Who may be answered from it", readers),
        _choice("refresh", "Look for changes", REFRESH),
        input_of("tags", "Tags", "With commas between them, such as hr, leave", limit=300, optional=True),
        input_of("title", "Title", "Only for a single document; empty is its own.", limit=300, optional=True),
        input_of("author", "Author", "Several with commas between them.", limit=300, optional=True),
        _date("date", "Written on"),
    ]
    return modal(INGEST_FORM, "Add to the docs", "Add", fields, place)


def read_form(view: View) -> tuple[FormPlace, str]:
    """Return where a submitted form was opened, and what it says as the words of an `/ingest` command."""
    place = msgspec.json.decode(view["private_metadata"], type=FormPlace)
    kind, refresh = _chosen(view, "kind"), _chosen(view, "refresh")
    links = [link for link in re.split(r"[\s,;]+(?=https?:)|\s+", value_of(view, "links")) if link]
    said = {"visibility": _chosen(view, "visibility"), "refresh": "" if refresh == "never" else refresh}
    said |= {name: value_of(view, name) for name in ("tags", "title", "author")} | {"date": _day(view)}
    words = [*([] if kind in ("", "page") else [kind]), *links]
    words += [f"{name}:{quoted(value)}" for name, value in said.items() if value]
    return place, blocks.escaped(" ".join(words))


def problems_of(text: str) -> Mapping[str, str]:
    """Return what is wrong with a filled-in form, in words by field; {} if all is well."""
    try:
        read_ingest(text)
    except CommandError as error:
        return {error.about if error.about in FIELDS else "links": error.briefly}
    return {}


def _choice(name: str, label: str, choices: Mapping[str, str], hint: str = "") -> Block:
    options = [_option(value, words) for value, words in choices.items()]
    element = {"type": "static_select", "action_id": name, "options": options, "initial_option": options[0]}
    return _field(name, label, element, hint)


def _date(name: str, label: str) -> Block:
    return _field(name, label, {"type": "datepicker", "action_id": name}) | {"optional": True}


def _field(name: str, label: str, element: Block, hint: str = "") -> Block:
    field: Block = {"type": "input", "block_id": name, "label": {"type": "plain_text", "text": label}}
    field |= {"element": element}
    return field | ({"hint": {"type": "plain_text", "text": hint}} if hint else {})


def _option(value: str, words: str) -> Block:
    return {"text": {"type": "plain_text", "text": words}, "value": value}


def _state(view: View, name: str) -> Mapping[str, object]:
    found: Mapping[str, object] = view["state"]["values"].get(name, {}).get(name, {})
    return found


def _chosen(view: View, name: str) -> str:
    option = _state(view, name).get("selected_option")
    return str(option.get("value") or "") if isinstance(option, Mapping) else ""


def _day(view: View) -> str:
    return str(_state(view, "date").get("selected_date") or "")
