"""Released prompts never change: `prompts/released.lock` keeps the hash of each, and a check compares.

A run records the id and the hash of the prompt that wrote its answer, so that what is known of a prompt is known of one
exact text. What is to be different becomes the next version. Pure but for `read_released`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from backend.prompts import PromptError, Prompts

FILE = "released.lock"
_HEADER = "# Released prompts and the SHA-256 of their files. `python -m backend prompts release` adds to it."
_LINE = re.compile(r"([a-z_]+@v[1-9]\d*) ([0-9a-f]{64})")


def read_released(folder: Path) -> dict[str, str]:
    """Return the hashes of the released prompts by id, none where there is no file. PromptError for a wrong line."""
    try:
        lines = (folder / FILE).read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{folder / FILE}: cannot be read: {error}") from error
    return dict(_entry(line, folder) for line in lines if line and not line.startswith("#"))


def _entry(line: str, folder: Path) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise PromptError(f"{folder / FILE}: not a prompt and a hash: {line[:80]}")
    return found[1], found[2]


def written(released: Mapping[str, str]) -> str:
    """Return the content of the lock file."""
    return "\n".join([_HEADER, *(f"{id} {released[id]}" for id in sorted(released, key=_order)), ""])


def _order(prompt_id: str) -> tuple[str, int]:
    name, _, version = prompt_id.partition("@v")
    return name, int(version)


def drafts(prompts: Prompts, released: Mapping[str, str]) -> list[str]:
    """Return the ids of the prompts that were not released yet."""
    return [id for id in prompts.ids() if id not in released]


def violations(prompts: Prompts, released: Mapping[str, str], in_use: Collection[str] = ()) -> list[str]:
    """Return what is wrong, one sentence each: released prompts that changed or are gone, drafts in use, gaps."""
    known = set(prompts.ids())
    changed = [id for id in released if id in known and prompts.get(id).hash != released[id]]
    return [
        *(f"{id} was released and is not to be edited: restore it and write {_next(id, known)}" for id in changed),
        *(f"{id} was released and is gone: restore it, old runs name it" for id in released if id not in known),
        *(f"{id} is in use but there is no such prompt" for id in sorted(in_use) if id not in known),
        *(f"{id} is in use but a draft: release it" for id in sorted(in_use) if id in known and id not in released),
        *(f"{id} is missing: versions are numbered without gaps" for id in _gaps(known)),
    ]


def _next(prompt_id: str, known: Collection[str]) -> str:
    name, _ = _order(prompt_id)
    latest = max(_order(id)[1] for id in known if _order(id)[0] == name)
    return f"{name}/v{latest + 1}.md"


def _gaps(known: Collection[str]) -> list[str]:
    versions: dict[str, set[int]] = {}
    for id in known:
        name, version = _order(id)
        versions.setdefault(name, set()).add(version)
    return [
        f"{name}@v{version}"
        for name in sorted(versions)
        for version in range(1, max(versions[name]))
        if version not in versions[name]
    ]
