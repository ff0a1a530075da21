"""`chat.startStream`, `chat.appendStream`, `chat.stopStream`."""

from __future__ import annotations

from bot.sandbox import rules
from bot.sandbox.arguments import Arguments
from bot.sandbox.methods import Method
from bot.sandbox.methods.agents import STATUSES
from bot.sandbox.shapes import message_json
from bot.sandbox.streams import grow, open_stream, render
from bot.sandbox.values import BOT_USER, InvalidArguments, Json, SlackError
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import Channel, Message, Session, Stream, World, number_blocks


def start(workspace: Workspace, args: Arguments) -> Json:
    world = workspace.world
    channel = world.in_use(world.joined(args.need("channel")).id)
    recipient = _recipient(world, channel, args)
    thread_ts = world.root_ts(channel.id, args.need("thread_ts"), error="invalid_thread_ts")
    stream = Stream(opened_at=world.clock.now(), recipient=recipient)
    message = Message(channel.id, world.clock.next_ts(), BOT_USER, "", thread_ts, stream=stream)
    warnings = _grow(message, stream, args)
    workspace.post(message)
    if world.options.agent:
        _set_session(workspace, message, "processing")
    return {"channel": channel.id, "ts": message.ts} | _warned(warnings)


def _recipient(world: World, channel: Channel, args: Arguments) -> str | None:
    """Outside direct messages Slack wants to know whom the stream answers."""
    user, team = args.text("recipient_user_id"), args.text("recipient_team_id")
    if channel.kind == "im":
        return user or None
    if not team:
        raise SlackError("missing_recipient_team_id")
    if not user:
        raise SlackError("missing_recipient_user_id")
    if world.user(user).team != team:
        raise SlackError("user_not_found")
    return user


def _grow(message: Message, stream: Stream, args: Arguments) -> list[str]:
    chunks = args.items("chunks", error=SlackError("invalid_chunks"))
    return grow(message, stream, args.text("markdown_text") or None, chunks)


def _warned(warnings: list[str]) -> Json:
    return {"warning": ",".join(warnings), "response_metadata": {"warnings": warnings}} if warnings else {}


def _own(workspace: Workspace, args: Arguments) -> Message:
    channel = workspace.world.channel(args.need("channel"))
    message = workspace.world.message(channel.id, args.need("ts"))
    if message.user != BOT_USER:
        raise SlackError("message_not_owned_by_app")
    return message


def append(workspace: Workspace, args: Arguments) -> Json:
    message = _own(workspace, args)
    stream = open_stream(workspace.world, message, may_be_stopped=False)
    if not args.text("markdown_text") and not args.raw("chunks"):
        raise SlackError("no_text")
    warnings = _grow(message, stream, args)
    number_blocks(message.blocks)
    workspace.world.changed(message)
    return {"channel": message.channel, "ts": message.ts} | _warned(warnings)


def stop(workspace: Workspace, args: Arguments) -> Json:
    world = workspace.world
    message = _own(workspace, args)
    stream = open_stream(world, message, may_be_stopped=True)
    status = args.text("session_status", "active")
    if status not in STATUSES:
        raise InvalidArguments("must be one of processing, active, suspended, closed [json-pointer:/session_status]")
    blocks = args.items("blocks", error=SlackError("invalid_blocks_format")) or []
    rules.check_blocks(blocks)
    warnings = _grow(message, stream, args)
    _finish(message, stream, blocks, args)
    workspace.edit(message, text=message.text)
    if world.options.agent:
        _set_session(workspace, message, status)
    body = message_json(message, world)
    return {"channel": message.channel, "ts": message.ts, "message": body} | _warned(warnings)


def _finish(message: Message, stream: Stream, blocks: list[Json], args: Arguments) -> None:
    stream.state = "stopped"
    render(message, stream)
    message.blocks += blocks
    number_blocks(message.blocks)
    if "metadata" in args:
        message.metadata = args.mapping("metadata")


def _set_session(workspace: Workspace, message: Message, status: str) -> None:
    world = workspace.world
    key = (message.channel, message.thread_ts or message.ts)
    before = world.sessions.get(key)
    world.set_session(*key, Session(status, before.title if before else "", "", world.clock.now()))


METHODS: dict[str, Method] = {"chat.startStream": start, "chat.appendStream": append, "chat.stopStream": stop}
