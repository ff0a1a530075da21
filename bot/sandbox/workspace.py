"""What anyone may do in the workspace, person or app: change its state, and have the app told of it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.sandbox import events
from bot.sandbox.outbox import Outbox
from bot.sandbox.shapes import message_json
from bot.sandbox.values import BOT_USER, SlackError
from bot.sandbox.world import Message, Session, World


@dataclass
class Workspace:
    """The world and the way to the app. `base_url` is where the server answers, without a slash at the end."""

    world: World
    outbox: Outbox
    base_url: str

    def post(self, message: Message) -> Message:
        """Put a new message into its channel, for all to see."""
        self.world.add(message)
        if message.thread_ts:
            self.world.changed(self.world.messages[(message.channel, message.thread_ts)])
        if message.user == BOT_USER:
            self._clear_note(message)
        for parcel in events.message_events(self.world, message):
            self.outbox.send(parcel)
        return message

    def _clear_note(self, message: Message) -> None:
        """A legacy status goes away as soon as the app has said something."""
        key = (message.channel, message.thread_ts or message.ts)
        session = self.world.sessions.get(key)
        if session is not None and session.note:
            self.world.set_session(*key, Session(session.status, session.title, "", session.since))

    def edit(self, message: Message, *, text: str) -> None:
        """Change a message's text (and whatever the caller has changed in it already)."""
        previous = message_json(message, self.world)
        message.text, message.edited_ts = text, self.world.clock.next_ts()
        self.world.changed(message)
        self._tell(message.channel, events.changed_event(self.world, message, previous))

    def delete(self, message: Message) -> None:
        previous = message_json(message, self.world)
        self.world.remove(message)
        channel = self.world.channels[message.channel]
        self._tell(channel.id, events.deleted_event(self.world, channel, previous))

    def react(self, message: Message, user: str, name: str) -> None:
        users = message.reactions.setdefault(name, [])
        if user in users:
            raise SlackError("already_reacted")
        users.append(user)
        self.world.changed(message)
        self._tell(message.channel, events.reaction_event(self.world, message, user, name, added=True))

    def unreact(self, message: Message, user: str, name: str) -> None:
        users = message.reactions.get(name, [])
        if user not in users:
            raise SlackError("no_reaction")
        users.remove(user)
        if not users:
            del message.reactions[name]
        self.world.changed(message)
        self._tell(message.channel, events.reaction_event(self.world, message, user, name, added=False))

    def _tell(self, channel_id: str, parcel: events.Parcel) -> None:
        if BOT_USER in self.world.channels[channel_id].members:
            self.outbox.send(parcel)
