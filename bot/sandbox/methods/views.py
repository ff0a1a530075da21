"""`views.*`: modals are a stack of at most three per person; a home belongs to one person."""

from __future__ import annotations

from bot.sandbox import rules
from bot.sandbox.arguments import Arguments
from bot.sandbox.methods import Method
from bot.sandbox.values import APP_ID, BOT_ID, InvalidArguments, Json, SlackError
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import World, number_blocks

MAX_STACK = 3
TRIGGER_SECONDS = 3.0
"""How long a `trigger_id` opens a view, and it does so once."""


def _view(args: Arguments, kind: str) -> Json:
    view = args.mapping("view")
    if view is None:
        raise InvalidArguments("missing required field: view")
    if view.get("type") != kind:
        raise InvalidArguments(f"must be {kind} [json-pointer:/view/type]")
    rules.check_view(view)
    return view


def keep(world: World, view: Json, *, view_id: str | None = None) -> Json:
    """`view` as Slack keeps it: with an id (a new one unless given), a hash and empty state.

    SlackError `duplicate_external_id` where another view has that id of the app's.
    """
    others = [one for one in every_view(world) if one["id"] != view_id]
    if view.get("external_id") and view["external_id"] in [one["external_id"] for one in others]:
        raise SlackError("duplicate_external_id")
    number_blocks(view.get("blocks", []))
    kept = {"private_metadata": "", "callback_id": "", "external_id": "", "clear_on_close": False} | view
    kept |= {"id": view_id or world.new_id("V"), "hash": world.new_id("hash"), "team_id": world.options.team}
    kept |= {"app_id": APP_ID, "bot_id": BOT_ID, "state": {"values": {}}}
    return kept


def take_trigger(world: World, trigger_id: str) -> str:
    """The person behind a trigger, which is used up."""
    trigger = world.triggers.get(trigger_id)
    if trigger is None:
        raise SlackError("invalid_trigger_id")
    if trigger.used:
        raise SlackError("exchanged_trigger_id")
    if world.clock.now() - trigger.opened_at > TRIGGER_SECONDS:
        raise SlackError("expired_trigger_id")
    trigger.used = True
    return trigger.user


def open_view(workspace: Workspace, args: Arguments) -> Json:
    view = _view(args, "modal")
    user = take_trigger(workspace.world, args.need("trigger_id"))
    kept = keep(workspace.world, view)
    kept |= {"root_view_id": kept["id"], "previous_view_id": None}
    workspace.world.set_modals(user, [kept])
    return {"view": kept}


def push_view(workspace: Workspace, args: Arguments) -> Json:
    view = _view(args, "modal")
    user = take_trigger(workspace.world, args.need("trigger_id"))
    return {"view": push(workspace.world, user, view)}


def push(world: World, user: str, view: Json) -> Json:
    stack = world.modals.get(user, [])
    if len(stack) >= MAX_STACK:
        raise SlackError("push_limit_reached")
    kept = keep(world, view)
    kept["root_view_id"] = stack[0]["id"] if stack else kept["id"]
    kept["previous_view_id"] = stack[-1]["id"] if stack else None
    world.set_modals(user, [*stack, kept])
    return kept


def update_view(workspace: Workspace, args: Arguments) -> Json:
    world = workspace.world
    user, old = find(world, args.text("view_id"), args.text("external_id"))
    if args.text("hash", old["hash"]) != old["hash"]:
        raise SlackError("hash_conflict")
    return {"view": replace(world, user, old, _view(args, old["type"]))}


def find(world: World, view_id: str, external_id: str = "") -> tuple[str, Json]:
    """Whose view it is, and the view."""
    for user, views in [*world.modals.items(), *((user, [home]) for user, home in world.homes.items())]:
        for view in views:
            if view["id"] == view_id or (external_id and view["external_id"] == external_id):
                return user, view
    raise SlackError("not_found")


def replace(world: World, user: str, old: Json, view: Json) -> Json:
    """Put `view` in the place of `old`, under its id."""
    kept = keep(world, view, view_id=old["id"])
    kept |= {name: old[name] for name in ("root_view_id", "previous_view_id") if name in old}
    if old["type"] == "home":
        world.homes[user] = kept
        world.tell("home", user=user)
    else:
        world.set_modals(user, [kept if view["id"] == old["id"] else view for view in world.modals[user]])
    return kept


def every_view(world: World) -> list[Json]:
    return [*world.homes.values(), *(view for stack in world.modals.values() for view in stack)]


def publish(workspace: Workspace, args: Arguments) -> Json:
    if not workspace.world.options.home_tab:
        raise SlackError("not_enabled")
    view = _view(args, "home")
    user = workspace.world.user(args.need("user_id"))
    old = workspace.world.homes.get(user.id)
    if old and args.text("hash", old["hash"]) != old["hash"]:
        raise SlackError("hash_conflict")
    kept = keep(workspace.world, view, view_id=old["id"] if old else None)
    workspace.world.homes[user.id] = kept
    workspace.world.tell("home", user=user.id)
    return {"view": kept}


METHODS: dict[str, Method] = {
    "views.open": open_view,
    "views.push": push_view,
    "views.update": update_view,
    "views.publish": publish,
}
