"""Prompts are files: `prompts/<name>/v<N>.md`, YAML front matter and a Jinja2 body.

    ---
    name: answer
    version: 1
    purpose: One line, for people.
    variables: [question, sources]
    max_tokens: 700        # optional: the model's parameter
    notes: Why it is so.   # optional, for people
    ---
    # system
    What the model is and must do.
    # user
    The matter at hand: {{ question }}

A line that is exactly `# system`, `# user` or `# assistant` opens a message of that role; the body begins with one.
Messages are cut before the variables are put in, so no value can open a message of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast

import yaml
from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import BadInput, FootnoteError
from backend.ports import ChatMessage

Role: TypeAlias = Literal["system", "user", "assistant"]

MAX_TOKENS = 700
"""For a completion, where the prompt does not say: some 500 words."""
_FILE = re.compile(r"---\n(?P<front>.*?)\n---\n(?P<body>.*)\Z", re.DOTALL)
_ROLE = re.compile(r"^# (system|user|assistant)[ \t]*\n", re.MULTILINE)
_VERSION = re.compile(r"v([1-9]\d*)\Z")


class PromptError(FootnoteError):
    """A prompt file is wrong, or a prompt was rendered with the wrong variables; one line that names the prompt."""

    title = "Prompt not usable"


class _FrontMatter(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    version: int
    purpose: str = Field(min_length=1)
    variables: list[str]
    max_tokens: int = Field(default=MAX_TOKENS, ge=1)
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt. `id` is like `answer@v1`; `hash` is the sha256 of the file, in hex."""

    id: str
    purpose: str
    variables: frozenset[str]
    max_tokens: int
    hash: str
    _messages: tuple[tuple[Role, Template], ...] = field(repr=False)
    notes: str = ""

    def render_with(self, known: Mapping[str, object]) -> list[ChatMessage]:
        """Return the conversation to send, of what is known the variables that this version uses: versions of one
        prompt may differ in them. PromptError if one is missing."""
        return self.render(**{name: value for name, value in known.items() if name in self.variables})

    def render(self, **variables: object) -> list[ChatMessage]:
        """Return the conversation to send. PromptError unless exactly the declared variables are given."""
        wrong = self.variables.symmetric_difference(variables)
        if wrong:
            raise PromptError(f"{self.id}: {'missing' if wrong & self.variables else 'unknown'} variable {min(wrong)}")
        try:
            return [ChatMessage(role, template.render(variables).strip()) for role, template in self._messages]
        except TemplateError as error:
            raise PromptError(f"{self.id}: {error.message}") from error


@dataclass(frozen=True, slots=True)
class Prompts:
    """Every prompt, by id."""

    _by_id: Mapping[str, Prompt]
    _current: Mapping[str, str] = field(default_factory=dict)

    def choosing(self, current: Mapping[str, str]) -> Prompts:
        """Return the same prompts, of which these ids, by name, are current. BadInput where there is no such prompt."""
        return Prompts(self._by_id, {name: self.get(id).id for name, id in current.items()})

    def current(self, name: str) -> Prompt:
        """Return the current version of a prompt, the newest where none was chosen. BadInput for an unknown name."""
        versions = [id for id in self.ids() if id.startswith(f"{name}@")]
        return self.get(self._current.get(name) or (versions[-1] if versions else name))

    def get(self, prompt_id: str) -> Prompt:
        """Raise BadInput, naming what there is, if there is no such prompt: callers may ask for one by name."""
        if prompt_id not in self._by_id:
            raise BadInput(f"There is no prompt {prompt_id[:80]!r}; there are {', '.join(self.ids())}.")
        return self._by_id[prompt_id]

    def ids(self) -> list[str]:
        """Return all ids, by name and version."""
        return sorted(self._by_id, key=lambda id: (id.partition("@")[0], int(id.rpartition("v")[2])))


def load_prompts(folder: Path) -> Prompts:
    """Read and check every `<name>/v<N>.md` below `folder`.

    Raises:
        PromptError: one of them cannot be used, or there is none; the message is one line that names the file.
    """
    paths = sorted(folder.glob("*/*.md"))
    if not paths:
        raise PromptError(f"{folder}: no prompts here")
    prompts = [_load(path) for path in paths]
    return Prompts({prompt.id: prompt for prompt in prompts})


def _load(path: Path) -> Prompt:
    try:
        content = path.read_bytes()
        return parse_prompt(content.decode(), path.parent.name, path.stem)
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from error
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error


def parse_prompt(content: str, name: str, version: str) -> Prompt:
    """Check the content of `<name>/<version>.md`. Raises PromptError."""
    file = _FILE.match(content)
    if file is None:
        raise PromptError("must begin with front matter between two lines of ---")
    front = _front_matter(file["front"])
    if front.name != name or _VERSION.match(version) is None or version != f"v{front.version}":
        raise PromptError(f"says it is {front.name} v{front.version}, but its path says {name} {version}")
    messages = _messages(file["body"], frozenset(front.variables))
    return Prompt(
        id=f"{name}@{version}",
        purpose=front.purpose,
        variables=frozenset(front.variables),
        max_tokens=front.max_tokens,
        hash=hashlib.sha256(content.encode()).hexdigest(),
        _messages=messages,
        notes=front.notes.strip(),
    )


def _front_matter(text: str) -> _FrontMatter:
    try:
        return _FrontMatter.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise PromptError(f"front matter is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "front matter"
        raise PromptError(f"{where}: {first['msg']}") from error


def _messages(body: str, declared: frozenset[str]) -> tuple[tuple[Role, Template], ...]:
    """Cut the body at its role lines and compile each message; the variables used must be those declared."""
    before, *parts = _ROLE.split(body)
    if before.strip() or not parts:
        raise PromptError("the body must begin with a line `# system` or `# user`")
    environment = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        used = {name for text in parts[1::2] for name in meta.find_undeclared_variables(environment.parse(text))}
        templates = [environment.from_string(text) for text in parts[1::2]]
    except TemplateError as error:
        raise PromptError(f"not a Jinja2 template: {error.message}") from error
    if used != declared:
        wrong = min(used ^ declared)
        raise PromptError(
            f"variable {wrong} is {'used but not declared' if wrong in used else 'declared but not used'}"
        )
    return tuple(zip((cast(Role, role) for role in parts[::2]), templates, strict=True))
