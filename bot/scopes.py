"""What the app may do in a workspace and what it is told of, each with its reason. The manifests say the same."""

from __future__ import annotations

from collections.abc import Mapping

BOT_SCOPES: Mapping[str, str] = {
    "app_mentions:read": "questions that mention Footnote",
    "channels:history": "follow-ups in its threads of public channels; threads that are to become documents",
    "channels:read": "whether a public channel is shared with others, who reads it, and which ones the asker is in",
    "chat:write": "answers, streamed and edited",
    "commands": "`/ask`, `/ingest`, `/docs`, `/footnote` and the shortcuts",
    "files:read": "files that are shared with the words “ingest this”",
    "groups:history": "the same as channels:history, in private channels that it was invited to",
    "groups:read": "the same as channels:read, of private channels that it was invited to",
    "im:history": "questions in direct messages",
    "im:write": "messages to a person: reports on what they ingest where it may not post, notices",
    "mpim:history": "the same as channels:history, in group messages that it was added to",
    "mpim:read": "the same as channels:read, of group messages that it was added to",
    "reactions:read": "👍 and 👎 on answers",
    "users:read": "who is a guest, an admin or a stranger; names in threads that become documents; time zones",
}
AGENT_SCOPES: Mapping[str, str] = {
    "assistant:write": "suggested questions and thread titles in the agent view",
}
EVENTS: Mapping[str, str] = {
    "app_mention": "questions",
    "message.im": "questions in direct messages",
    "message.channels": "follow-ups; edits and deletions of what was asked or ingested",
    "message.groups": "the same in private channels",
    "message.mpim": "the same in group messages",
    "reaction_added": "ratings",
    "reaction_removed": "ratings that are taken back",
    "app_home_opened": "the App Home, and suggested questions",
    "member_joined_channel": "who may be answered from a channel's documents, and whether guests read there",
    "member_left_channel": "the same",
    "channel_archive": "the same",
    "channel_unarchive": "the same",
    "channel_deleted": "the same",
    "channel_left": "the same, when Footnote itself is removed",
    "channel_shared": "whether another workspace reads a channel",
    "channel_unshared": "the same",
    "channel_id_changed": "the same: sharing a private channel gives it a new id",
    "group_archive": "the same of private channels",
    "group_unarchive": "the same",
    "group_deleted": "the same",
    "group_left": "the same",
    "team_join": "new guests",
    "user_change": "who became a guest, or was deactivated",
    "app_uninstalled": "to stop and forget the token",
    "tokens_revoked": "the same",
}
AGENT_EVENTS: Mapping[str, str] = {
    "agent_session_stopped": "the Stop button",
}
