"""`auth.test`, `reactions.*`, `files.info`, `blocks.validate`."""

from __future__ import annotations

from bot.sandbox import rules
from bot.sandbox.arguments import Arguments
from bot.sandbox.methods import Method
from bot.sandbox.shapes import file_json, message_json, reactions_json
from bot.sandbox.values import BOT_ID, BOT_USER, InvalidArguments, Json, SlackError
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import Message


def auth_test(workspace: Workspace, _args: Arguments) -> Json:
    options = workspace.world.options
    return {
        "url": f"{workspace.base_url}/",
        "team": options.team_name,
        "team_id": options.team,
        "user": "footnote",
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def _reacted(workspace: Workspace, args: Arguments) -> tuple[Message, str]:
    name = args.need("name").strip(":")
    if not all(character.isalnum() or character in "_+-:" for character in name):
        raise SlackError("invalid_name")
    return _message(workspace, args), name


def _message(workspace: Workspace, args: Arguments) -> Message:
    channel = workspace.world.joined(args.need("channel"))
    return workspace.world.message(channel.id, args.need("timestamp"))


def add_reaction(workspace: Workspace, args: Arguments) -> Json:
    message, name = _reacted(workspace, args)
    workspace.react(message, BOT_USER, name)
    return {}


def remove_reaction(workspace: Workspace, args: Arguments) -> Json:
    message, name = _reacted(workspace, args)
    workspace.unreact(message, BOT_USER, name)
    return {}


def get_reactions(workspace: Workspace, args: Arguments) -> Json:
    message = _message(workspace, args)
    body = message_json(message, workspace.world) | {"reactions": reactions_json(message)}
    return {"type": "message", "channel": message.channel, "message": body}


def file_info(workspace: Workspace, args: Arguments) -> Json:
    file = workspace.world.files.get(args.need("file"))
    if file is None:
        raise SlackError("file_not_found")
    return {"file": file_json(file, workspace.base_url), "comments": [], "response_metadata": {"next_cursor": ""}}


def validate_blocks(_workspace: Workspace, args: Arguments) -> Json:
    given = [name for name in ("blocks", "message", "view") if name in args]
    if len(given) != 1:
        raise InvalidArguments("exactly one of blocks, message, view must be given")
    if given == ["view"]:
        rules.check_view(args.mapping("view") or {})
        return {}
    blocks = args.items("blocks") if given == ["blocks"] else (args.mapping("message") or {}).get("blocks", [])
    rules.check_blocks(blocks or [])
    return {}


METHODS: dict[str, Method] = {
    "auth.test": auth_test,
    "reactions.add": add_reaction,
    "reactions.remove": remove_reaction,
    "reactions.get": get_reactions,
    "files.info": file_info,
    "blocks.validate": validate_blocks,
}
