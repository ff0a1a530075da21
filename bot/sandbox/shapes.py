"""Pure: the workspace's objects in the JSON shapes of Slack's Web API and events."""

from __future__ import annotations

from bot.sandbox.values import BOT_ID, BOT_USER, Json
from bot.sandbox.world import Channel, File, Message, User, World, bot_fields

ABSENT: tuple[object, ...] = (None, [], {})
"""What Slack leaves out of a message instead of sending it."""


def user_json(user: User, team: str) -> Json:
    return {
        "id": user.id,
        "team_id": user.team,
        "name": user.name.lower(),
        "real_name": user.name,
        "deleted": False,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "is_admin": user.is_admin,
        "is_owner": False,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": False,
        "is_stranger": user.team != team,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "locale": "en-GB",
        "profile": {"real_name": user.name, "display_name": user.name, "team": user.team},
    }


def channel_json(channel: Channel) -> Json:
    if channel.kind == "im":
        return {"id": channel.id, "is_im": True, "is_open": True, "user": channel.members[0], "is_ext_shared": False}
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": True,
        "is_group": channel.kind == "private",
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.kind == "private",
        "is_archived": channel.is_archived,
        "is_general": channel.id == "C_GENERAL",
        "is_member": BOT_USER in channel.members,
        "is_shared": channel.is_shared,
        "is_ext_shared": channel.is_shared,
        "is_org_shared": False,
        "creator": channel.creator,
        "num_members": len(channel.members),
        "topic": {"value": channel.topic},
        "purpose": {"value": ""},
    }


def channel_type(channel: Channel) -> str:
    return {"public": "channel", "private": "group", "im": "im"}[channel.kind]


def file_json(file: File, base_url: str) -> Json:
    url = f"{base_url}/files-pri/{file.id}/{file.name}"
    return {
        "id": file.id,
        "name": file.name,
        "title": file.name,
        "mimetype": file.mimetype,
        "filetype": file.name.rpartition(".")[2].lower(),
        "size": len(file.content),
        "user": file.user,
        "mode": "hosted",
        "channels": file.channels,
        "url_private": url,
        "url_private_download": url,
    }


def message_json(message: Message, world: World) -> Json:
    """A message as `conversations.replies` and events show it; a root with replies carries their count."""
    author = world.users[message.user]
    body: Json = {
        "type": "message",
        "user": message.user,
        "text": message.text,
        "ts": message.ts,
        "team": author.team,
        "subtype": message.subtype,
        "thread_ts": message.thread_ts,
        "blocks": message.blocks,
        "files": message.files,
        "reactions": reactions_json(message),
        "edited": {"user": message.user, "ts": message.edited_ts} if message.edited_ts else None,
    }
    if message.user == BOT_USER:
        body |= bot_fields(author.team)
    return {key: value for key, value in body.items() if value not in ABSENT} | _thread_fields(message, world)


def _thread_fields(message: Message, world: World) -> Json:
    if message.thread_ts not in (None, message.ts):
        root = world.messages.get((message.channel, message.thread_ts or ""))
        return {"parent_user_id": root.user} if root else {}
    replies = [m for m in world.thread(message.channel, message.ts) if m.ts != message.ts]
    if not replies:
        return {}
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": sorted({m.user for m in replies}),
        "latest_reply": replies[-1].ts,
    }


def reactions_json(message: Message) -> list[Json]:
    return [{"name": name, "users": list(users), "count": len(users)} for name, users in message.reactions.items()]


def page_message(message: Message, world: World) -> Json:
    """A message as the page and tests see it: Slack's shape, plus what Slack keeps to itself."""
    return message_json(message, world) | {
        "channel": message.channel,
        "streaming": message.is_streaming and not is_over(message, world),
        "stream": message.stream.state if message.stream else None,
        "only_for": message.only_for,
        "metadata": message.metadata,
        "unfurl_links": message.unfurl_links,
        "unfurl_media": message.unfurl_media,
    }


def is_over(message: Message, world: World) -> bool:
    """Whether the time of a stream has passed."""
    opened = message.stream.opened_at if message.stream else 0.0
    return world.clock.now() - opened >= world.options.stream_seconds


def bot_json(team: str) -> Json:
    return {
        "id": BOT_ID,
        "name": "Footnote",
        "deleted": False,
        "app_id": "A_FOOTNOTE",
        "user_id": BOT_USER,
        "team": team,
    }
