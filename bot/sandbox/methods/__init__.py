"""The Web API, a module per family. A method takes its arguments and returns what stands beside `ok`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from bot.sandbox.arguments import Arguments
from bot.sandbox.values import Json
from bot.sandbox.workspace import Workspace

Method: TypeAlias = Callable[[Workspace, Arguments], Json]
