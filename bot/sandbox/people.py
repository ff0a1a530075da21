"""What people do in the workspace: write, react, press, submit. The page and the tests act through this."""

from __future__ import annotations

from collections.abc import Iterator

from bot.sandbox import events
from bot.sandbox.methods.views import find, push, replace
from bot.sandbox.shapes import channel_json, file_json, message_json
from bot.sandbox.text import encode
from bot.sandbox.values import BOT_USER, GENERAL, Json, SlackError
from bot.sandbox.web_api import say
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import Channel, File, Hook, Message, User


class People:
    """Acts for a person. Raises SlackError where the person may not, and NotDelivered where the app does not answer."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._world = workspace.world

    def _member(self, user_id: str, channel_id: str) -> User:
        if user_id not in self._world.channel(channel_id).members:
            raise SlackError("not_in_channel")
        return self._world.user(user_id)

    def write(
        self, *, channel: str, user: str, text: str, thread_ts: str | None = None, files: list[Json] | None = None
    ) -> Message:
        """Post a message; `text` may name people and channels as `@Footnote` and `#general`."""
        self._member(user, channel)
        self._world.in_use(channel)
        if not text.strip() and not files:
            raise SlackError("no_text")
        root = self._world.root_ts(channel, thread_ts, error="thread_not_found") if thread_ts else None
        message = Message(channel, self._world.clock.next_ts(), user, encode(text, self._world), root)
        if files:
            message.files, message.subtype = files, "file_share"
        return self._workspace.post(message)

    def edit(self, *, channel: str, user: str, ts: str, text: str) -> Message:
        message = self._own(channel, user, ts, "cant_update_message")
        self._workspace.edit(message, text=encode(text, self._world))
        return message

    def delete(self, *, channel: str, user: str, ts: str) -> None:
        self._workspace.delete(self._own(channel, user, ts, "cant_delete_message"))

    def _own(self, channel: str, user: str, ts: str, error: str) -> Message:
        message = self._world.message(channel, ts)
        if message.user != user:
            raise SlackError(error)
        return message

    def react(self, *, channel: str, user: str, ts: str, name: str, add: bool) -> None:
        self._member(user, channel)
        message = self._world.message(channel, ts)
        if add:
            self._workspace.react(message, user, name)
        else:
            self._workspace.unreact(message, user, name)

    def upload(
        self, *, channel: str, user: str, name: str, mimetype: str, content: bytes, text: str, thread_ts: str | None
    ) -> Message:
        """Share a file in a channel: `file_shared`, and a message of subtype `file_share`."""
        self._member(user, channel)
        file = File(self._world.new_id("F"), name, mimetype, user, content, [channel])
        self._world.files[file.id] = file
        shared = [file_json(file, self._workspace.base_url)]
        message = self.write(channel=channel, user=user, text=text, thread_ts=thread_ts, files=shared)
        if BOT_USER in self._world.channel(channel).members:
            self._workspace.outbox.send(events.file_shared_event(self._world, file.id, channel, user))
        return message

    def join(self, *, channel: str, user: str) -> None:
        """Join a channel; the app is told where it is in it itself."""
        place = self._world.channel(channel)
        if user in place.members:
            raise SlackError("already_in_channel")
        place.members.append(self._world.user(user).id)
        self._world.tell("channel", channel=channel)
        self._tell(place, events.member_event(self._world, place, user, joined=True))

    def invite(self, *, channel: str, user: str, who: str) -> None:
        """Bring somebody in, as only a member may."""
        self._member(user, channel)
        self.join(channel=channel, user=who)

    def leave(self, *, channel: str, user: str) -> None:
        self._member(user, channel)
        place = self._world.channel(channel)
        place.members.remove(user)
        self._world.tell("channel", channel=channel)
        self._tell(place, events.member_event(self._world, place, user, joined=False))

    def archive(self, *, channel: str, user: str, archived: bool = True) -> None:
        """Archive a channel, or bring it back."""
        self._member(user, channel)
        place = self._world.channel(channel)
        if channel == GENERAL:
            raise SlackError("cant_archive_general")
        if place.is_archived == archived:
            raise SlackError("already_archived" if archived else "not_archived")
        place.is_archived = archived
        self._world.tell("channel", channel=channel)
        self._tell(place, events.archive_event(self._world, place, user))

    def _tell(self, channel: Channel, parcel: events.Parcel) -> None:
        if BOT_USER in channel.members:
            self._workspace.outbox.send(parcel)

    def open_home(self, *, user: str, tab: str) -> None:
        self._workspace.outbox.send(events.home_event(self._world, self._world.user(user).id, tab))

    def open_assistant(self, *, user: str) -> Message:
        """Begin a conversation as apps of the older `assistant_view` had it: a thread of its own among the messages."""
        channel = self._world.dm(self._world.user(user).id)
        root = Message(channel.id, self._world.clock.next_ts(), BOT_USER, "New conversation")
        root.subtype = "assistant_app_thread"
        self._world.add(root)
        self._workspace.outbox.send(events.assistant_event(self._world, user, root))
        return root

    def stop(self, *, channel: str, user: str, thread_ts: str) -> None:
        """Press Stop: open streams of the thread end for their reader, and the app is told."""
        self._member(user, channel)
        stopped = [m for m in self._world.thread(channel, thread_ts) if m.stream and m.stream.state == "open"]
        for message in stopped:
            assert message.stream is not None
            message.stream.state = "stopped_by_user"
            self._world.changed(message)
        streams = [message.ts for message in stopped]
        self._workspace.outbox.send(events.stopped_event(self._world, channel, thread_ts, user, streams))

    # What waits for the app's acknowledgement

    async def command(self, *, channel: str, user: str, command: str, text: str, thread_ts: str | None = None) -> None:
        """Run a slash command. As in Slack, not in a thread."""
        person = self._member(user, channel)
        if command not in [known.name for known in self._world.options.commands]:
            raise SlackError("unknown_command")
        if thread_ts:
            raise SlackError("command_not_supported_in_threads")
        hook = Hook(channel, user, self._world.clock.now())
        where = self._world.channel(channel)
        parcel = events.command(self._world, person, where, command, encode(text, self._world), self._url(hook))
        try:
            reply = await self._workspace.outbox.ask(parcel)
            if reply.get("text") or reply.get("blocks"):
                say(self._workspace, hook, reply)
        finally:
            hook.settled.set()

    def _url(self, hook: Hook) -> str:
        return f"{self._workspace.base_url}/response/{self._world.hook(hook)}"

    async def act(
        self,
        *,
        user: str,
        action_id: str,
        channel: str = "",
        ts: str = "",
        view_id: str = "",
        block_id: str | None = None,
        value: str | None = None,
        chosen: Json | None = None,
    ) -> None:
        """Use a button or another control, in the message `ts` of `channel` or in a view.

        `value` picks one of two feedback buttons; `chosen` is what other controls bring, such as `selected_option`.
        """
        person = self._world.user(user)
        place, blocks = self._in_view(view_id) if view_id else self._in_message(channel, ts, user)
        block, element = find_element(blocks, action_id, block_id)
        action = pressed(element, value) | (chosen or {})
        action |= {"block_id": block.get("block_id", ""), "action_ts": self._world.clock.next_ts()}
        await self._workspace.outbox.ask(
            events.interaction(self._world, "block_actions", person, actions=[action], **place)
        )

    def _in_view(self, view_id: str) -> tuple[Json, list[Json]]:
        _, view = find(self._world, view_id)
        return {"container": {"type": "view", "view_id": view_id}, "view": view}, view.get("blocks", [])

    def _in_message(self, channel_id: str, ts: str, user: str) -> tuple[Json, list[Json]]:
        self._member(user, channel_id)
        ephemeral = self._world.ephemerals.get((channel_id, ts))
        message = ephemeral or self._world.message(channel_id, ts)
        container: Json = {"type": "message", "message_ts": ts, "channel_id": channel_id}
        container["is_ephemeral"] = ephemeral is not None
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        hook = Hook(channel_id, user, self._world.clock.now(), ts, message.thread_ts)
        hook.settled.set()
        place: Json = {"container": container, "channel": self._channel(channel_id), "response_url": self._url(hook)}
        place["state"] = {"values": {}}
        if not ephemeral:
            place["message"] = message_json(message, self._world)
        return place, message.blocks

    def _channel(self, channel_id: str) -> Json:
        name = channel_json(self._world.channel(channel_id)).get("name", "directmessage")
        return {"id": channel_id, "name": name}

    async def shortcut(self, *, user: str, callback_id: str, channel: str = "", ts: str = "") -> None:
        """Use a global shortcut, or one on the message `ts`."""
        person = self._world.user(user)
        fields: Json = {"callback_id": callback_id, "action_ts": self._world.clock.next_ts()}
        kind = "shortcut"
        if ts:
            kind = "message_action"
            place, _ = self._in_message(channel, ts, user)
            fields |= {name: place[name] for name in ("channel", "message", "response_url") if name in place}
            fields["message_ts"] = ts
        await self._workspace.outbox.ask(events.interaction(self._world, kind, person, **fields))

    async def submit(self, *, user: str, view_id: str, values: Json) -> Json:
        """Submit a modal; returns the errors by block id, which is nothing if the app took it."""
        _, view = find(self._world, view_id)
        sent = view | {"state": {"values": values}}
        parcel = events.interaction(self._world, "view_submission", self._world.user(user), view=sent, response_urls=[])
        reply = await self._workspace.outbox.ask(parcel)
        errors = reply.get("errors", {}) if reply.get("response_action") == "errors" else {}
        if not errors:
            self._after_submit(user, view, reply)
        return errors if isinstance(errors, dict) else {}

    def _after_submit(self, user: str, view: Json, reply: Json) -> None:
        stack = self._world.modals.get(user, [])
        match reply.get("response_action"):
            case "update":
                replace(self._world, user, view, reply["view"])
            case "push":
                push(self._world, user, reply["view"])
            case "clear":
                self._world.set_modals(user, [])
            case _:
                self._world.set_modals(user, [kept for kept in stack if kept["id"] != view["id"]])

    async def close_view(self, *, user: str, view_id: str) -> None:
        _, view = find(self._world, view_id)
        stack = self._world.modals.get(user, [])
        self._world.set_modals(user, [kept for kept in stack if kept["id"] != view_id])
        if view.get("notify_on_close"):
            person = self._world.user(user)
            parcel = events.interaction(self._world, "view_closed", person, view=view, is_cleared=False)
            await self._workspace.outbox.ask(parcel)


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every control of the blocks, with the block that holds it."""
    for block in blocks:
        yield from elements(block.get("child_blocks", []))
        single = [block[name] for name in ("accessory", "element") if isinstance(block.get(name), dict)]
        for element in [*block.get("elements", []), *single]:
            if isinstance(element, dict):
                yield block, element


def find_element(blocks: list[Json], action_id: str, block_id: str | None) -> tuple[Json, Json]:
    for block, element in elements(blocks):
        if element.get("action_id") == action_id and block_id in (None, block.get("block_id")):
            return block, element
    raise SlackError("action_not_found")


def pressed(element: Json, value: str | None) -> Json:
    """The action that a control makes, as in `block_actions.actions[0]`."""
    action = {"type": element["type"], "action_id": element["action_id"]}
    if element["type"] == "feedback_buttons":
        buttons = (element["positive_button"], element["negative_button"])
        button = next((button for button in buttons if button.get("value") == value), None)
        if button is None:
            raise SlackError("action_not_found")
        return action | {"text": button["text"], "value": button.get("value")}
    shown = {name: element[name] for name in ("text", "value", "url", "style") if name in element}
    return action | shown | ({"value": value} if value is not None else {})
