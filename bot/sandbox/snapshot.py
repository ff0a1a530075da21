"""Pure: what one person sees of the workspace, whole or as one change, for the page and for tests."""

from __future__ import annotations

from bot.sandbox.methods.agents import NOTE_SECONDS, PROCESSING_SECONDS
from bot.sandbox.shapes import page_message
from bot.sandbox.values import BOT_ID, BOT_NAME, BOT_USER, Json
from bot.sandbox.world import Channel, Message, World


def sees(world: World, user: str | None, channel_id: str) -> bool:
    """Whether `user` may read the channel; None is a test, which reads all."""
    channel = world.channels[channel_id]
    return user is None or user in channel.members


def may_join(channel: Channel, user: str | None) -> bool:
    """Whether `user` could join by themselves."""
    return user is not None and channel.kind == "public" and not channel.is_archived and user not in channel.members


def snapshot(world: World, user: str | None, *, connected: bool) -> Json:
    """The workspace as `user` sees it, or all of it for None."""
    options = world.options
    return {
        "team": {"id": options.team, "name": options.team_name},
        "user": user,
        "bot": {"id": BOT_USER, "bot_id": BOT_ID, "name": BOT_NAME, "connected": connected},
        "users": [
            {"id": u.id, "name": u.name, "is_bot": u.is_bot, "is_stranger": u.team != options.team}
            for u in world.users.values()
        ],
        "channels": [channel_state(c) for c in world.channels.values() if sees(world, user, c.id)],
        "joinable": [{"id": c.id, "name": c.name} for c in world.channels.values() if may_join(c, user)],
        "messages": [page_message(m, world) for m in _sorted(world.messages) if sees(world, user, m.channel)],
        "ephemerals": [page_message(m, world) for m in _sorted(world.ephemerals) if user in (None, m.only_for)],
        "sessions": [session_state(world, *key) for key in world.sessions if sees(world, user, key[0])],
        "prompts": {channel: prompts for channel, prompts in world.prompts.items() if sees(world, user, channel)},
        "modals": {owner: stack for owner, stack in world.modals.items() if user in (None, owner)},
        "homes": {owner: home for owner, home in world.homes.items() if user in (None, owner)},
        "commands": [{"name": c.name, "hint": c.hint, "description": c.description} for c in options.commands],
        "shortcuts": [{"callback_id": s.callback_id, "name": s.name, "kind": s.kind} for s in options.shortcuts],
        "questions": list(options.questions),
    }


def _sorted(messages: dict[tuple[str, str], Message]) -> list[Message]:
    return sorted(messages.values(), key=lambda message: message.ts)


def channel_state(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "members": channel.members,
        "topic": channel.topic,
        "is_shared": channel.is_shared,
        "is_archived": channel.is_archived,
    }


def session_state(world: World, channel: str, thread_ts: str) -> Json:
    """The session of a thread; `processing` and notes that are too old are not shown any more."""
    session = world.sessions[(channel, thread_ts)]
    age = world.clock.now() - session.since
    expired = session.status == "processing" and age > PROCESSING_SECONDS
    return {
        "channel": channel,
        "thread_ts": thread_ts,
        "status": "active" if expired else session.status,
        "title": session.title,
        "note": session.note if age <= NOTE_SECONDS else "",
    }


def delta(world: World, user: str | None, change: Json) -> Json | None:
    """What a change of anything but people and channels looks like to `user` now; None where they do not see it."""
    kind, owner = change["type"], change.get("user")
    if "channel" in change and not sees(world, user, change["channel"]):
        return None
    if owner is not None and user not in (None, owner):
        return None
    match kind:
        case "message" | "ephemeral":
            return _message_delta(world, user, change)
        case "session":
            return {"type": kind, "session": session_state(world, change["channel"], change["thread_ts"])}
        case "prompts":
            return {"type": kind, "channel": change["channel"], "prompts": world.prompts[change["channel"]]}
        case "modals":
            return {"type": kind, "user": owner, "stack": world.modals.get(str(owner), [])}
        case "home":
            return {"type": kind, "user": owner, "view": world.homes[str(owner)]}
        case _:
            return change


def _message_delta(world: World, user: str | None, change: Json) -> Json | None:
    shelf = world.ephemerals if change["type"] == "ephemeral" else world.messages
    message = shelf.get((change["channel"], change["ts"]))
    if message is None or (message.only_for and user not in (None, message.only_for)):
        return None
    return {"type": change["type"], "message": page_message(message, world)}
