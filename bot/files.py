"""Files that people share in Slack: what an event says of them, and which addresses get our token. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import msgspec

MAX_FILE = 50_000_000
"""Bytes of one file; what the backend takes by default."""
MAX_FILES = 20
ARCHIVES = frozenset({"application/zip", "application/x-zip-compressed"})
SLACK_HOSTS = (".slack.com", ".slack-gov.com")


class SharedFile(msgspec.Struct, frozen=True):
    """A file as Slack describes it. `size` is in bytes, 0 where Slack does not say."""

    id: str
    name: str
    url: str
    mimetype: str = ""
    title: str = ""
    size: int = 0

    @property
    def stated_title(self) -> str:
        """The title that a person gave it, "" where Slack made one of the file's name."""
        return "" if self.title in {"", self.name, self.name.rpartition(".")[0]} else self.title


def is_archive(file: SharedFile) -> bool:
    """Whether it is a zip of many documents: that of an office document has a name and a type of its own."""
    return file.name.lower().endswith(".zip") or file.mimetype in ARCHIVES


def files_of(message: Mapping[str, object]) -> tuple[SharedFile, ...]:
    """Return the files of a message or event that can be downloaded."""
    files = message.get("files")
    found = (_file(raw) for raw in files if isinstance(raw, Mapping)) if isinstance(files, list) else ()
    return tuple(file for file in found if file.id and file.url)[:MAX_FILES]


def _file(raw: Mapping[str, object]) -> SharedFile:
    size = raw.get("size")
    return SharedFile(
        id=str(raw.get("id") or ""),
        name=str(raw.get("name") or raw.get("title") or raw.get("id") or ""),
        url=str(raw.get("url_private_download") or raw.get("url_private") or ""),
        mimetype=str(raw.get("mimetype") or ""),
        title=str(raw.get("title") or ""),
        size=size if isinstance(size, int) else 0,
    )


def write_files(files: Iterable[SharedFile]) -> str:
    """Return files as they are recorded in a job."""
    return msgspec.json.encode(list(files)).decode()


def read_files(text: str) -> tuple[SharedFile, ...]:
    """Read what `write_files` wrote; nothing where nothing was."""
    return tuple(msgspec.json.decode(text, type=list[SharedFile])) if text else ()


def may_have_token(url: str, api_url: str) -> bool:
    """Whether the bot's token may be sent to `url`: to Slack over https, or to the very server that `api_url` names."""
    try:
        parts, api = urlsplit(url), urlsplit(api_url)
        origins = [(one.scheme, (one.hostname or "").lower(), one.port) for one in (parts, api)]
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or "\\" in url:
        return False
    scheme, host, port = origins[0]
    if scheme == "https" and port in (None, 443) and host.endswith(SLACK_HOSTS):
        return True
    return bool(host) and origins[0] == origins[1]


def is_sign_in_page(file: SharedFile, media_type: str, size: int) -> bool:
    """Whether what came is the page that Slack shows to those who may not see the file: HTML instead of the file."""
    if media_type != "text/html":
        return False
    return "html" not in file.mimetype or (file.size > 0 and size != file.size)
