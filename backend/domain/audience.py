"""Who may read a document, and who reads an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

SUBJECT = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
"""What a team, channel or user id may look like."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """Who may read a document: its whole team, the members of one channel, or one user."""

    kind: Literal["team", "channel", "user"] = "team"
    subject: str = ""

    @classmethod
    def parse(cls, text: str) -> Visibility:
        """Read `team`, `channel:C1` or `user:U1`; raise ValueError for anything else."""
        if text == "team":
            return cls()
        kind, _, subject = text.partition(":")
        if SUBJECT.match(subject):
            if kind == "channel":
                return cls("channel", subject)
            if kind == "user":
                return cls("user", subject)
        raise ValueError(f"visibility must be team, channel:ID or user:ID, not {text[:80]!r}")

    def __str__(self) -> str:
        return self.kind if self.kind == "team" else f"{self.kind}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who will be able to read the answer.

    `private` is true when only `user` will; `channels` are those that the user is known to be in, and count only then.
    Where `only_tags` is not empty, readers from outside are among them: of what is visible, only documents that carry
    one of these tags count.
    """

    channel: str | None = None
    user: str | None = None
    private: bool = False
    channels: tuple[str, ...] = ()
    only_tags: tuple[str, ...] = ()

    def visibilities(self) -> frozenset[str]:
        """Return the visibilities that every reader of the answer may read: the whole access rule, failing closed."""
        admitted = {"team"}
        if self.channel:
            admitted.add(f"channel:{self.channel}")
        if self.private:
            if self.user:
                admitted.add(f"user:{self.user}")
            admitted.update(f"channel:{channel}" for channel in self.channels)
        return frozenset(admitted)
