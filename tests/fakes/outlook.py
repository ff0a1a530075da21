"""Messages as Outlook saves them: properties, each a stream of a compound file ([MS-CFB] version 3, [MS-OXMSG])."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SECTOR, MINI, CUTOFF = 512, 64, 4096
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
NOBODY = FREE
"""A directory entry without such a neighbour."""
STORAGE, STREAM, ROOT = 1, 2, 5
FOLDER = bytes.fromhex("0b0d020000000000c000000000000046")
"""The class of an Outlook message."""
TEXT, TIME = 0x001F, 0x0040
"""Property types: UTF-16 text, and hundreds of nanoseconds since 1601."""
SUBJECT, SENT, SENDER, SENDER_ADDRESS, TO, BODY = 0x0037, 0x0039, 0x0C1A, 0x0C1F, 0x0E04, 0x1000
NAME, ADDRESS, FILE_NAME = 0x3001, 0x39FE, 0x3707
HTML, CONTENT = "__substg1.0_10130102", "__substg1.0_37010102"
PROPERTIES = "__properties_version1.0"
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def message(
    subject: str = "",
    body: str = "",
    *,
    html: str = "",
    sender: tuple[str, str] = ("", ""),
    to: Sequence[tuple[str, str]] = (),
    sent: datetime | None = None,
    attached: Sequence[str] = (),
) -> bytes:
    """Return the bytes of a message from `sender` to `to`, each a name and an address; a file holds one word."""
    texts = {SUBJECT: subject, SENDER: sender[0], SENDER_ADDRESS: sender[1], TO: "; ".join(name for name, _ in to)}
    given = {tag: text for tag, text in (texts | {BODY: body}).items() if text}
    people = {f"__recip_version1.0_#{at:08X}": _part({NAME: name, ADDRESS: mail}) for at, (name, mail) in enumerate(to)}
    files = {
        f"__attach_version1.0_#{at:08X}": {**_part({FILE_NAME: name}), CONTENT: b"content"}
        for at, name in enumerate(attached)
    }
    counts = struct.pack("<8x4I8x", len(people), len(files), len(people), len(files))
    page: dict[str, Tree] = {HTML: html.encode()} if html else {}
    return compound({PROPERTIES: counts + _table(given, sent), **_streams(given), **page, **people, **files})


def _part(texts: Mapping[int, str]) -> dict[str, Tree]:
    return {PROPERTIES: bytes(8) + _table(texts), **_streams(texts)}


def _streams(texts: Mapping[int, str]) -> dict[str, Tree]:
    return {f"__substg1.0_{tag:04X}{TEXT:04X}": text.encode("utf-16-le") for tag, text in texts.items()}


def _table(texts: Mapping[int, str], sent: datetime | None = None) -> bytes:
    """Return the rows of a property stream: the sizes of texts, and times themselves."""
    rows = [struct.pack("<HHIII", TEXT, tag, 6, 2 * len(text) + 2, 0) for tag, text in texts.items()]
    if sent is not None:
        ticks = (sent - EPOCH) // timedelta(microseconds=1) * 10
        rows.append(struct.pack("<HHIQ", TIME, SENT, 6, ticks))
    return b"".join(rows)


Tree = bytes | Mapping[str, "Tree"]
"""A stream, or a storage with what is in it by name."""


@dataclass
class _Entry:
    """A place in the directory; siblings hang to the right of one another."""

    name: str
    kind: int
    right: int = NOBODY
    child: int = NOBODY
    content: bytes = b""
    start: int = END
    size: int = 0

    def packed(self) -> bytes:
        name = self.name.encode("utf-16-le")
        place = struct.pack("<HBBIII", len(name) + 2, self.kind, 1, NOBODY, self.right, self.child)
        kind = FOLDER if self.kind == ROOT else bytes(16)
        return name.ljust(64, b"\0") + place + kind + bytes(20) + struct.pack("<IQ", self.start, self.size)


def compound(tree: Mapping[str, Tree]) -> bytes:
    """Return a compound file of these streams and storages: small enough for one sector that tells of all others."""
    root = _Entry("Root Entry", ROOT)
    entries = [root]
    root.child = _hang(tree, entries)
    small, short = _chained([one for one in entries if one.kind == STREAM and len(one.content) < CUTOFF], MINI)
    root.content, root.size = small, len(small)
    sectors, chains = _chained([root, *(one for one in entries if len(one.content) >= CUTOFF and one != root)], SECTOR)
    table = b"".join(struct.pack("<I", one) for one in short)
    directory = b"".join(one.packed() for one in entries)
    places = []
    for part in (table, directory):
        places.append(len(chains))
        sectors, chains = sectors + _padded(part, SECTOR), chains + _chain(len(chains), _count(part, SECTOR))
    fat = [*chains, FAT]
    assert len(fat) <= SECTOR // 4, "too large for one sector that tells of all others"
    head = struct.pack("<8s16xHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0,
                       1, places[1], 0, CUTOFF, places[0], _count(table, SECTOR), END, 0)  # fmt: skip
    known = struct.pack("<109I", len(chains), *[FREE] * 108)
    listed = b"".join(struct.pack("<I", one) for one in fat)
    return head + known + sectors + listed.ljust(SECTOR, b"\xff")


def _hang(tree: Mapping[str, Tree], entries: list[_Entry]) -> int:
    """Add what is in a storage, in the order of names that readers expect; return the first."""
    before: _Entry | None = None
    first = NOBODY
    for name in sorted(tree, key=lambda name: (len(name), name.upper())):
        at, held = len(entries), tree[name]
        entry = _Entry(name, STREAM if isinstance(held, bytes) else STORAGE)
        entries.append(entry)
        if before is None:
            first = at
        else:
            before.right = at
        before = entry
        if isinstance(held, bytes):
            entry.content, entry.size = held, len(held)
        else:
            entry.child, entry.start = _hang(held, entries), 0
    return first


def _chained(entries: Sequence[_Entry], unit: int) -> tuple[bytes, list[int]]:
    """Lay the contents one behind the other in sectors of `unit` bytes; return them, and each sector's next."""
    laid, chains = b"", list[int]()
    for entry in entries:
        if entry.content:
            entry.start = len(chains)
            chains += _chain(len(chains), _count(entry.content, unit))
            laid += _padded(entry.content, unit)
    return laid, chains


def _chain(start: int, count: int) -> list[int]:
    """Return what follows each of `count` sectors in a row."""
    return [*range(start + 1, start + count), END][:count]


def _count(content: bytes, unit: int) -> int:
    return -(-len(content) // unit)


def _padded(content: bytes, unit: int) -> bytes:
    return content.ljust(_count(content, unit) * unit, b"\0")
