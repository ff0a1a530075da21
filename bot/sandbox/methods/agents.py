"""`agents.sessions.*`, and the legacy `assistant.threads.*` that they replace."""

from __future__ import annotations

from bot.sandbox.arguments import Arguments
from bot.sandbox.methods import Method
from bot.sandbox.values import InvalidArguments, Json, SlackError
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import Channel, Session

STATUSES = ("processing", "active", "suspended", "closed")
MAX_PROMPTS = 4
MAX_LOADING_MESSAGES = 10
PROCESSING_SECONDS = 3600.0
"""How long Slack believes in `processing` before it shows `active` again."""
NOTE_SECONDS = 120.0
"""How long a legacy status stays without a new one."""


def set_status(workspace: Workspace, args: Arguments) -> Json:
    _need_agent(workspace)
    channel, thread_ts = _thread(workspace, args)
    status = args.need("status")
    if status not in STATUSES:
        raise InvalidArguments("must be one of processing, active, suspended, closed [json-pointer:/status]")
    before = workspace.world.sessions.get((channel.id, thread_ts))
    title = args.text("title") or (before.title if before else "")
    workspace.world.set_session(channel.id, thread_ts, Session(status, title, "", workspace.world.clock.now()))
    return {}


def rename(workspace: Workspace, args: Arguments) -> Json:
    _need_agent(workspace)
    channel, thread_ts = _thread(workspace, args)
    session = workspace.world.sessions.get((channel.id, thread_ts))
    if session is None:
        raise SlackError("not_authorized")
    session.title = args.need("title")
    workspace.world.set_session(channel.id, thread_ts, session)
    return {}


def _need_agent(workspace: Workspace) -> None:
    if not workspace.world.options.agent:
        raise SlackError("not_agent_app")


def _thread(workspace: Workspace, args: Arguments) -> tuple[Channel, str]:
    channel = workspace.world.joined(args.need("channel_id"))
    thread_ts = args.text("thread_ts")
    if not thread_ts:
        return channel, ""
    return channel, workspace.world.root_ts(channel.id, thread_ts, error="invalid_thread_ts")


def set_thread_status(workspace: Workspace, args: Arguments) -> Json:
    args.need("thread_ts")
    channel, thread_ts = _thread(workspace, args)
    loading = args.raw("loading_messages")
    if isinstance(loading, list) and len(loading) > MAX_LOADING_MESSAGES:
        raise InvalidArguments("must provide an array with at most 10 items [json-pointer:/loading_messages]")
    before = workspace.world.sessions.get((channel.id, thread_ts)) or Session("active")
    now = workspace.world.clock.now()
    workspace.world.set_session(channel.id, thread_ts, Session(before.status, before.title, args.text("status"), now))
    return {}


def set_thread_title(workspace: Workspace, args: Arguments) -> Json:
    args.need("thread_ts")
    channel, thread_ts = _thread(workspace, args)
    session = workspace.world.sessions.get((channel.id, thread_ts)) or Session("active")
    session.title = args.need("title")
    workspace.world.set_session(channel.id, thread_ts, session)
    return {}


def set_suggested_prompts(workspace: Workspace, args: Arguments) -> Json:
    channel, _ = _thread(workspace, args)
    prompts = args.items("prompts") or []
    if not 1 <= len(prompts) <= MAX_PROMPTS:
        raise InvalidArguments("must provide 1 to 4 prompts [json-pointer:/prompts]")
    if not all(isinstance(p.get("title"), str) and isinstance(p.get("message"), str) for p in prompts):
        raise InvalidArguments("a prompt needs title and message [json-pointer:/prompts]")
    workspace.world.prompts[channel.id] = {"title": args.text("title"), "prompts": prompts}
    workspace.world.tell("prompts", channel=channel.id)
    return {}


METHODS: dict[str, Method] = {
    "agents.sessions.setStatus": set_status,
    "agents.sessions.rename": rename,
    "assistant.threads.setStatus": set_thread_status,
    "assistant.threads.setTitle": set_thread_title,
    "assistant.threads.setSuggestedPrompts": set_suggested_prompts,
}
