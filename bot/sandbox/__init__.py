"""A local Slack: enough of its wire for the unmodified bot, and a web page for people.

It imports nothing of the bot, so that what works here works there.
"""

from bot.sandbox.server import Sandbox
from bot.sandbox.values import Command, Options, Shortcut

__all__ = ["Command", "Options", "Sandbox", "Shortcut"]
