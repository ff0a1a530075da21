"""Pure: what happens in the workspace, as the payloads that Slack delivers to an app."""

from __future__ import annotations

from dataclasses import dataclass

from bot.sandbox.shapes import channel_type, message_json
from bot.sandbox.values import APP_ID, BOT_USER, Json, Kind
from bot.sandbox.world import Channel, Message, User, World


@dataclass(frozen=True)
class Parcel:
    """One thing to deliver to the app. Only events are redelivered; the others fail in front of the person."""

    kind: Kind
    payload: Json

    @property
    def is_event(self) -> bool:
        return self.kind == "events_api"


def event(world: World, body: Json) -> Parcel:
    """`body` inside an `event_callback`, with a fresh `event_id`."""
    team = world.options.team
    authorization = {
        "enterprise_id": None,
        "team_id": team,
        "user_id": BOT_USER,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return Parcel(
        "events_api",
        {
            "token": "sandbox",
            "team_id": team,
            "api_app_id": APP_ID,
            "type": "event_callback",
            "event_id": world.new_id("Ev"),
            "event_time": int(world.clock.now()),
            "authorizations": [authorization],
            "is_ext_shared_channel": _is_shared(world, body),
            "event": body,
        },
    )


def _is_shared(world: World, body: Json) -> bool:
    channel = body.get("channel")
    return isinstance(channel, str) and channel in world.channels and world.channels[channel].is_shared


def message_events(world: World, message: Message) -> list[Parcel]:
    """A new message; where it mentions the bot in a channel, twins with different ids: `app_mention` and `message`."""
    channel = world.channels[message.channel]
    if BOT_USER not in channel.members:
        return []
    body = _message_body(world, message, channel)
    parcels = [event(world, body | {"channel_type": channel_type(channel)})]
    if channel.kind != "im" and message.user != BOT_USER and f"<@{BOT_USER}>" in message.text:
        mention = {key: value for key, value in body.items() if key != "subtype"} | {"type": "app_mention"}
        parcels.insert(0, event(world, mention))
    return parcels


def _message_body(world: World, message: Message, channel: Channel) -> Json:
    body = message_json(message, world) | {"channel": channel.id, "event_ts": message.ts}
    if message.user != BOT_USER:
        body["client_msg_id"] = f"client-{message.ts}"
    if world.users[message.user].team != world.options.team:
        body |= {"user_team": body["team"], "source_team": body["team"]}
    return body


def changed_event(world: World, message: Message, previous: Json) -> Parcel:
    channel = world.channels[message.channel]
    body = {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": channel.id,
        "channel_type": channel_type(channel),
        "ts": world.clock.next_ts(),
        "message": message_json(message, world),
        "previous_message": previous,
    }
    return event(world, body | {"event_ts": body["ts"]})


def deleted_event(world: World, channel: Channel, previous: Json) -> Parcel:
    ts = world.clock.next_ts()
    body = {"type": "message", "subtype": "message_deleted", "hidden": True, "ts": ts, "event_ts": ts}
    body |= {"channel": channel.id, "channel_type": channel_type(channel)}
    return event(world, body | {"deleted_ts": previous["ts"], "previous_message": previous})


def reaction_event(world: World, message: Message, user: str, name: str, *, added: bool) -> Parcel:
    body = {
        "type": "reaction_added" if added else "reaction_removed",
        "user": user,
        "reaction": name,
        "item": {"type": "message", "channel": message.channel, "ts": message.ts},
        "item_user": message.user,
        "event_ts": world.clock.next_ts(),
    }
    return event(world, body)


def member_event(world: World, channel: Channel, user: str, *, joined: bool) -> Parcel:
    body = {"type": "member_joined_channel" if joined else "member_left_channel", "user": user, "channel": channel.id}
    kind = "C" if channel.kind == "public" else "G"
    return event(world, body | {"channel_type": kind, "team": world.options.team, "event_ts": world.clock.next_ts()})


def archive_event(world: World, channel: Channel, user: str) -> Parcel:
    kind = "channel" if channel.kind == "public" else "group"
    name = f"{kind}_{'archive' if channel.is_archived else 'unarchive'}"
    return event(world, {"type": name, "channel": channel.id, "user": user, "event_ts": world.clock.next_ts()})


def file_shared_event(world: World, file_id: str, channel: str, user: str) -> Parcel:
    body = {"type": "file_shared", "file_id": file_id, "file": {"id": file_id}, "user_id": user, "channel_id": channel}
    return event(world, body | {"event_ts": world.clock.next_ts()})


def home_event(world: World, user: str, tab: str) -> Parcel:
    body: Json = {"type": "app_home_opened", "user": user, "tab": tab, "channel": world.dm(user).id}
    body["event_ts"] = world.clock.next_ts()
    if tab == "home" and user in world.homes:
        body["view"] = world.homes[user]
    return event(world, body)


def assistant_event(world: World, user: str, root: Message) -> Parcel:
    thread = {"user_id": user, "channel_id": root.channel, "thread_ts": root.ts, "context": {}}
    body = {"type": "assistant_thread_started", "assistant_thread": thread, "event_ts": world.clock.next_ts()}
    return event(world, body)


def stopped_event(world: World, channel: str, thread_ts: str, user: str, streams: list[str]) -> Parcel:
    body = {"type": "agent_session_stopped", "channel": channel, "thread_ts": thread_ts, "user": user}
    return event(world, body | {"streaming_message_ts": streams, "event_ts": world.clock.next_ts()})


def person(user: User) -> Json:
    return {"id": user.id, "username": user.name.lower(), "name": user.name.lower(), "team_id": user.team}


def command(world: World, user: User, channel: Channel, name: str, text: str, response_url: str) -> Parcel:
    """A slash command. Slack gives no thread with it."""
    payload = {
        "token": "sandbox",
        "team_id": world.options.team,
        "team_domain": "sandbox",
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.kind == "im" else channel.name,
        "user_id": user.id,
        "user_name": user.name.lower(),
        "command": name,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": world.trigger(user.id),
    }
    return Parcel("slash_commands", payload)


def interaction(world: World, kind: str, user: User, **fields: object) -> Parcel:
    """A button, a shortcut or a submitted view: the common head, and `fields`."""
    head: Json = {
        "type": kind,
        "token": "sandbox",
        "team": {"id": world.options.team, "domain": "sandbox"},
        "enterprise": None,
        "is_enterprise_install": False,
        "user": person(user),
        "api_app_id": APP_ID,
        "trigger_id": world.trigger(user.id),
    }
    return Parcel("interactive", head | fields)
