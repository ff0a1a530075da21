"""`chat.*` except streams."""

from __future__ import annotations

from bot.sandbox import rules
from bot.sandbox.arguments import Arguments
from bot.sandbox.methods import Method
from bot.sandbox.shapes import message_json
from bot.sandbox.streams import expire
from bot.sandbox.values import BOT_USER, Json, SlackError
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import Message, number_blocks


def post_message(workspace: Workspace, args: Arguments) -> Json:
    world = workspace.world
    channel = world.in_use(world.joined(args.need("channel")).id)
    text, blocks = content(args)
    thread_ts = _thread(workspace, channel.id, args)
    message = Message(channel.id, world.clock.next_ts(), BOT_USER, text, thread_ts, blocks)
    _record_options(message, args)
    workspace.post(message)
    body: Json = {"channel": channel.id, "ts": message.ts, "message": message_json(message, world)}
    if len(args.text("text")) > rules.MAX_TEXT:
        body["response_metadata"] = {"warnings": ["message_truncated"]}
    return body


def content(args: Arguments) -> tuple[str, list[Json]]:
    """The text and the blocks of a message about to be posted, checked."""
    text, markdown = args.text("text"), args.text("markdown_text")
    blocks = args.items("blocks", error=SlackError("invalid_blocks_format")) or []
    if markdown and (text or blocks):
        raise SlackError("markdown_text_conflict")
    if len(markdown) > rules.MAX_MARKDOWN:
        raise SlackError("msg_too_long")
    if markdown:
        return markdown, [{"type": "markdown", "text": markdown}]
    if not text and not blocks:
        raise SlackError("no_text")
    rules.check_blocks(blocks)
    return text[: rules.MAX_TEXT], blocks


def _thread(workspace: Workspace, channel: str, args: Arguments) -> str | None:
    thread_ts = args.text("thread_ts")
    return workspace.world.root_ts(channel, thread_ts, error="thread_not_found") if thread_ts else None


def _record_options(message: Message, args: Arguments) -> None:
    message.unfurl_links, message.unfurl_media = args.flag("unfurl_links"), args.flag("unfurl_media")
    message.metadata = args.mapping("metadata")


def own_message(workspace: Workspace, args: Arguments, *, error: str) -> Message:
    """The message named by `channel` and `ts`, which the app must have posted."""
    channel = workspace.world.channel(args.need("channel"))
    message = workspace.world.message(channel.id, args.need("ts"))
    if message.user != BOT_USER:
        raise SlackError(error)
    return message


def update(workspace: Workspace, args: Arguments) -> Json:
    message = own_message(workspace, args, error="cant_update_message")
    expire(workspace.world, message)
    if message.is_streaming:
        raise SlackError("streaming_state_conflict")
    if len(args.text("text")) > rules.MAX_UPDATE_TEXT:
        raise SlackError("msg_too_long")
    text, blocks = content(args)
    if "blocks" in args or "markdown_text" in args or message.stream:
        message.blocks, message.stream = blocks, None
        number_blocks(message.blocks)
    if "metadata" in args:
        message.metadata = args.mapping("metadata")
    workspace.edit(message, text=text or message.text)
    body = message_json(message, workspace.world)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": body}


def delete(workspace: Workspace, args: Arguments) -> Json:
    message = own_message(workspace, args, error="cant_delete_message")
    workspace.delete(message)
    return {"channel": message.channel, "ts": message.ts}


def post_ephemeral(workspace: Workspace, args: Arguments) -> Json:
    world = workspace.world
    channel = world.joined(args.need("channel"))
    user = args.need("user")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    text, blocks = content(args)
    message = Message(channel.id, world.clock.next_ts(), BOT_USER, text, _thread(workspace, channel.id, args), blocks)
    message.only_for = user
    world.add(message)
    return {"message_ts": message.ts}


def get_permalink(workspace: Workspace, args: Arguments) -> Json:
    channel = workspace.world.joined(args.need("channel"))
    message = workspace.world.message(channel.id, args.need("message_ts"))
    link = f"{workspace.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


METHODS: dict[str, Method] = {
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.delete": delete,
    "chat.postEphemeral": post_ephemeral,
    "chat.getPermalink": get_permalink,
}
