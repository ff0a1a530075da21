"""The form with which a channel's settings are changed, and how they are told to those who may not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.schema import ANSWER_LANGUAGES
from bot.blocks import context, escaped, section
from bot.channel_settings import (
    AUTO_ANSWER_WORDS,
    AUTO_ANSWERS,
    AutoAnswer,
    ChannelSettings,
    read_sources,
    read_tags,
    settled_lines,
)
from bot.slack import Block

CHANNEL_SETTINGS = "channel_settings"
"""The callback id of the form, and the action id of whatever opens it: a button whose value is the channel's id, or a
list of conversations."""
CURRENT = "current"
"""What is chosen where whichever prompt is current shall write."""
ASKERS = "asker"
"""What is chosen where answers are to be in the language of the question."""
MAX_OPTIONS = 100
MAX_PRIVATE = 3_000
ONE_EXPERT = "Name a person or a channel, not both."

View = Mapping[str, Any]


class Wrong(ValueError):
    """What is wrong with a filled-in form: a sentence for a person by the name of each field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(", ".join(errors))
        self.errors = dict(errors)


def settings_form(channel: str, settings: ChannelSettings, prompts: Sequence[str] = ()) -> Block:
    """Return the form for a channel; `prompts` are those that can write its answers, the default first."""
    return _view("Channel settings", [section(f"How I answer in <#{channel}>"), *_fields(settings, prompts)]) | {
        "callback_id": CHANNEL_SETTINGS,
        "private_metadata": channel,
        "submit": _plain("Save"),
        "close": _plain("Cancel"),
    }


def settled_view(channel: str, settings: ChannelSettings, note: str = "") -> Block:
    """Return the settings to be read only, with a line of ours above them."""
    return _view("Channel settings", [*([section(escaped(note))] if note else []), *settled_blocks(channel, settings)])


def settled_blocks(channel: str, settings: ChannelSettings, note: str = "") -> list[Block]:
    """Return the settings in words, and who changed them."""
    lines = [f"• {escaped(line)}" for line in settled_lines(settings)]
    lines += [f"• Ask a human: {_mentioned(settings.expert)}"] if settings.expert else []
    changed = f"Changed by <@{settings.changed_by}> on {settings.changed_at}" if settings.changed_by else ""
    below = " · ".join(filter(None, (changed, escaped(note))))
    return [section("\n".join([f"*How I answer in <#{channel}>*", *lines])), *([context(below)] if below else [])]


def read_settings(view: View, before: ChannelSettings) -> ChannelSettings:
    """Return what was filled in, over what was settled before. Raises Wrong."""
    values: Mapping[str, Mapping[str, Any]] = {
        name: next(iter(fields.values()), {}) for name, fields in view["state"]["values"].items()
    }
    errors: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for name, read in (("tags", read_tags), ("sources", read_sources)):
        try:
            lists[name] = read(str(values.get(name, {}).get("value") or ""))
        except ValueError as error:
            errors[name] = str(error)
    person, room = (
        _chosen(values, "expert", "selected_user"),
        _chosen(values, "expert_channel", "selected_conversation"),
    )
    if person and room:
        errors["expert_channel"] = ONE_EXPERT
    if errors:
        raise Wrong(errors)
    return ChannelSettings(
        auto_answer=_auto_answer(_option(values, "auto_answer")),
        tags=lists["tags"],
        sources=lists["sources"],
        prompt=_option(values, "prompt").removeprefix(CURRENT) if "prompt" in values else before.prompt,
        language=_option(values, "language").removeprefix(ASKERS) if "language" in values else before.language,
        muted=bool(values.get("muted", {}).get("selected_options")),
        expert=person or room,
    )


def channel_of(view: View) -> str:
    return str(view.get("private_metadata") or "")


# ------------------------------------------------------------------------------------------------------------ the parts


def _fields(settings: ChannelSettings, prompts: Sequence[str]) -> list[Block]:
    answered = [_choice(AUTO_ANSWER_WORDS[name], name) for name in AUTO_ANSWERS]
    here = AUTO_ANSWERS.index(settings.auto_answer)
    return [
        _input("auto_answer", "Answered without a mention", _select(answered, answered[here])),
        _text_field(
            "tags", "Only documents with one of these tags", settings.tags, "hr, policy", "Empty: all documents."
        ),
        _text_field(
            "sources",
            "Only documents from one of these sources",
            settings.sources,
            "handbook.example.com",
            "With tags as well: only documents that meet both.",
        ),
        *_prompt_field(settings.prompt, prompts),
        *_language_field(settings.language, prompts),
        _muted_field(muted=settings.muted),
        *_expert_fields(settings.expert),
    ]


def _text_field(name: str, label: str, values: Sequence[str], example: str, hint: str) -> Block:
    element: Block = {"type": "plain_text_input", "max_length": MAX_PRIVATE, "placeholder": _plain(example)}
    element |= {"initial_value": ", ".join(values)} if values else {}
    return _input(name, label, element, hint, optional=True)


def _prompt_field(chosen: str, prompts: Sequence[str]) -> list[Block]:
    """Return the choice of a prompt, which there is only where a model writes."""
    if not prompts:
        return []
    options = [_choice("Whichever is current", CURRENT), *(_choice(name, name) for name in prompts[: MAX_OPTIONS - 1])]
    initial = next((one for one in options if one["value"] == chosen), options[0])
    return [_input("prompt", "Prompt that writes the answers", _select(options, initial))]


def _language_field(chosen: str, prompts: Sequence[str]) -> list[Block]:
    """Return the choice of a language, which only a model can write in."""
    if not prompts:
        return []
    options = [_choice("The asker's", ASKERS), *(_choice(name, code) for code, name in ANSWER_LANGUAGES.items())]
    initial = next((one for one in options if one["value"] == chosen), options[0])
    hint = "What cannot be checked against documents in another language is left out, or quoted instead."
    return [_input("language", "Language of the answers", _select(options, initial), hint)]


def _muted_field(*, muted: bool) -> Block:
    option = _choice("Answer nobody here, except privately", "muted")
    element: Block = {"type": "checkboxes", "options": [option]}
    return _input("muted", "Mute", element | ({"initial_options": [option]} if muted else {}), optional=True)


def _expert_fields(expert: str) -> list[Block]:
    person: Block = {"type": "users_select", "placeholder": _plain("A person")}
    room: Block = {"type": "conversations_select", "placeholder": _plain("A channel")}
    room["filter"] = {"include": ["public", "private"], "exclude_external_shared_channels": True}
    if expert.startswith(("U", "W")):
        person["initial_user"] = expert
    elif expert:
        room["initial_conversation"] = expert
    hint = "Empty: whoever is named for the workspace."
    return [
        _input("expert", "“Ask a human” asks this person", person, optional=True),
        _input("expert_channel", "… or this channel", room, hint, optional=True),
    ]


def _input(name: str, label: str, element: Block, hint: str = "", *, optional: bool = False) -> Block:
    field: Block = {"type": "input", "block_id": name, "optional": optional, "label": _plain(label)}
    return field | {"element": {"action_id": name, **element}} | ({"hint": _plain(hint)} if hint else {})


def _select(options: Sequence[Block], initial: Block) -> Block:
    return {"type": "static_select", "options": list(options), "initial_option": initial}


def _choice(text: str, value: str) -> Block:
    return {"text": _plain(text), "value": value}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def _view(title: str, content: Sequence[Block]) -> Block:
    return {"type": "modal", "title": _plain(title), "close": _plain("Close"), "blocks": list(content)}


def _mentioned(expert: str) -> str:
    return f"<@{expert}>" if expert.startswith(("U", "W")) else f"<#{expert}>"


def _option(values: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return str((values.get(name, {}).get("selected_option") or {}).get("value") or "")


def _chosen(values: Mapping[str, Mapping[str, Any]], name: str, kind: str) -> str:
    return str(values.get(name, {}).get(kind) or "")


def _auto_answer(value: str) -> AutoAnswer:
    return next((name for name in AUTO_ANSWERS if name == value), "default")
