"""`conversations.*` and `users.*`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bot.sandbox.arguments import Arguments
from bot.sandbox.methods import Method
from bot.sandbox.shapes import bot_json, channel_json, message_json, user_json
from bot.sandbox.values import BOT_ID, BOT_USER, Json, SlackError
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import Channel, Message

Item = TypeVar("Item")
KIND_NAMES = {"public": "public_channel", "private": "private_channel", "im": "im"}


def page(items: Sequence[Item], args: Arguments, *, default: int, most: int) -> tuple[list[Item], str]:
    """One page of `items`, and the cursor of the next or an empty text."""
    cursor = args.text("cursor")
    if cursor and not cursor.removeprefix("next:").isdigit():
        raise SlackError("invalid_cursor")
    start = int(cursor.removeprefix("next:") or 0)
    end = start + args.number("limit", default, most=most)
    return list(items[start:end]), f"next:{end}" if end < len(items) else ""


def _cursor(cursor: str) -> Json:
    return {"has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def _within(messages: list[Message], args: Arguments) -> list[Message]:
    """Those between `oldest` and `latest`, which count themselves only where `inclusive`."""
    oldest, latest = args.text("oldest") or "0", args.text("latest") or "9" * 12
    edge = bool(args.flag("inclusive"))
    low, high = float(oldest), float(latest)
    return [m for m in messages if low < float(m.ts) < high or (edge and m.ts in (oldest, latest))]


def replies(workspace: Workspace, args: Arguments) -> Json:
    """The thread, oldest first; every page begins with its root, as Slack's do."""
    world = workspace.world
    channel = world.joined(args.need("channel"))
    root_ts = world.root_ts(channel.id, args.need("ts"), error="thread_not_found")
    root, *rest = world.thread(channel.id, root_ts)
    found, cursor = page(_within(rest, args), args, default=1000, most=1000)
    messages = [_with_metadata(message, workspace, args) for message in (root, *found)]
    return {"messages": messages} | _cursor(cursor)


def history(workspace: Workspace, args: Arguments) -> Json:
    world = workspace.world
    channel = world.joined(args.need("channel"))
    roots = [message for message in world.in_channel(channel.id) if message.thread_ts in (None, message.ts)]
    found, cursor = page(_within(roots, args)[::-1], args, default=100, most=999)
    return {"messages": [_with_metadata(message, workspace, args) for message in found]} | _cursor(cursor)


def _with_metadata(message: Message, workspace: Workspace, args: Arguments) -> Json:
    body = message_json(message, workspace.world)
    if args.flag("include_all_metadata") and message.metadata:
        body["metadata"] = message.metadata
    return body


def info(workspace: Workspace, args: Arguments) -> Json:
    channel = workspace.world.channel(args.need("channel"))
    if channel.kind != "public":
        workspace.world.joined(channel.id)
    return {"channel": channel_json(channel)}


def members(workspace: Workspace, args: Arguments) -> Json:
    channel = workspace.world.channel(args.need("channel"))
    if channel.kind != "public":
        workspace.world.joined(channel.id)
    found, cursor = page(channel.members, args, default=100, most=1000)
    return {"members": found, "response_metadata": {"next_cursor": cursor}}


def _visible(workspace: Workspace, args: Arguments, user: str | None) -> list[Channel]:
    types = (args.text("types") or "public_channel").replace(" ", "").split(",")
    return [
        channel
        for channel in workspace.world.channels.values()
        if KIND_NAMES[channel.kind] in types
        and (channel.kind == "public" or BOT_USER in channel.members)
        and (user is None or user in channel.members)
        and not (channel.is_archived and args.flag("exclude_archived"))
    ]


def list_channels(workspace: Workspace, args: Arguments) -> Json:
    found, cursor = page(_visible(workspace, args, None), args, default=100, most=999)
    return {"channels": [channel_json(c) for c in found], "response_metadata": {"next_cursor": cursor}}


def users_conversations(workspace: Workspace, args: Arguments) -> Json:
    user = workspace.world.user(args.text("user") or BOT_USER)
    found, cursor = page(_visible(workspace, args, user.id), args, default=100, most=999)
    return {"channels": [channel_json(c) for c in found], "response_metadata": {"next_cursor": cursor}}


def open_dm(workspace: Workspace, args: Arguments) -> Json:
    if "channel" in args:
        channel = workspace.world.joined(args.need("channel"))
    else:
        users = args.need("users").split(",")
        if len(users) > 1:
            raise SlackError("method_not_supported_for_channel_type")
        channel = workspace.world.dm(workspace.world.user(users[0]).id)
    return {"channel": channel_json(channel) if args.flag("return_im") else {"id": channel.id}}


def users_info(workspace: Workspace, args: Arguments) -> Json:
    return {"user": user_json(workspace.world.user(args.need("user")), workspace.world.options.team)}


def users_list(workspace: Workspace, args: Arguments) -> Json:
    found, cursor = page(list(workspace.world.users.values()), args, default=1000, most=1000)
    team = workspace.world.options.team
    return {"members": [user_json(user, team) for user in found], "response_metadata": {"next_cursor": cursor}}


def bots_info(workspace: Workspace, args: Arguments) -> Json:
    if args.need("bot") != BOT_ID:
        raise SlackError("bot_not_found")
    return {"bot": bot_json(workspace.world.options.team)}


METHODS: dict[str, Method] = {
    "conversations.replies": replies,
    "conversations.history": history,
    "conversations.info": info,
    "conversations.members": members,
    "conversations.list": list_channels,
    "conversations.open": open_dm,
    "users.conversations": users_conversations,
    "users.info": users_info,
    "users.list": users_list,
    "bots.info": bots_info,
}
