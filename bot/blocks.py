"""Everything that Slack shows, as Block Kit. Pure, and within Slack's limits whatever the documents hold.

Limits: 50 blocks a message, 3,000 characters a section, 12,000 a Markdown block, 13,200 all blocks of a message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.schema import Citation, Document, Passage, RunMetadata
from bot.quotes import opened_at, plain, shortened
from bot.slack import Block

MAX_SOURCES = 10
MAX_SOURCES_TEXT = 5_500
"""Characters of all sources together: beside a page of 6,500 they stay under the message's 13,200."""
MAX_TITLE = 150
MAX_FALLBACK = 3_900
"""Characters of `text`, which notifications and screen readers use; chat.update takes 4,000."""
FEEDBACK = "feedback"
"""The action id of the feedback buttons; their value is `run_id:1` or `run_id:-1`."""
ASK_PLAINLY = "ask_plainly"
"""The action id of the button that asks again without the filter; its value is `ts:question`."""
MAX_ASKED = 1_900
"""Characters of a question that fit into the value of a button, which takes 2,000."""

_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s*\S+.*$", re.MULTILINE)
_URL = re.compile(r"<?\b(?:https?://|mailto:|www\.)[^\s<>|`]+>?", re.IGNORECASE)
_TOKEN = re.compile(r"<(?=[!@#/a-zA-Z])")


def escaped(text: str) -> str:
    """Make text safe inside mrkdwn: no token, link or mention comes to life."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def linked(label: str, url: str) -> str:
    """Return a mrkdwn link, or the label alone where there is nowhere safe to lead."""
    label = escaped(" ".join(label.split())).replace("|", "¦")
    if not url:
        return label
    target = url.replace("&", "&amp;").replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")
    return f"<{target}|{label}>"


def defanged(markdown: str) -> str:
    """Return an answer's Markdown in which no link, image or mention works: links that count are the sources'.

    A link keeps its label, an image its description, a bare address is shown as code.
    """
    parts = _CODE.split(markdown)
    return "".join(part if index % 2 else _defanged(part) for index, part in enumerate(parts))


def _defanged(text: str) -> str:
    text = _REFERENCE.sub("", _LINK.sub(r"\1", _IMAGE.sub(r"\1", text)))
    text = _URL.sub(lambda found: f"`{found.group(0).strip('<>')}`", text)
    return _TOKEN.sub("&lt;", text)


def fallback(text: str) -> str:
    """Return a message's `text`: shown by notifications, and where blocks are not."""
    return text if len(text) <= MAX_FALLBACK else shortened(text, MAX_FALLBACK)


def section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}}


def context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text[:2_000]}]}


def markdown(text: str) -> Block:
    return {"type": "markdown", "text": text}


# -------------------------------------------------------------------------------------------------------- an answer


def answer_blocks(citations: Sequence[Citation], metadata: RunMetadata, run_id: str) -> list[Block]:
    """Return what stands below an answer: its sources, the footer and the feedback buttons."""
    return [*source_blocks(citations), context(footer(citations, metadata)), feedback_buttons(run_id)]


def filter_blocks(described: str, notices: Sequence[str], asked_ts: str, question: str) -> list[Block]:
    """Return how the question was understood, with a button that asks it again without that; nothing if there is
    nothing to say."""
    shown: list[Block] = []
    if described:
        line = section(f"*Filter:* {escaped(shortened(described, 400))}")
        button = _button("Ask without it", ASK_PLAINLY, f"{asked_ts}:{question}")
        shown.append(line | {"accessory": button} if len(question) <= MAX_ASKED else line)
    return [*shown, *([context(escaped(" ".join(notices)))] if notices else [])]


def source_blocks(citations: Sequence[Citation]) -> list[Block]:
    """Return one section per citation, in the order of the markers, as many as fit."""
    shown, size = [], 0
    for citation in citations[:MAX_SOURCES]:
        text = source_text(citation)
        size += len(text)
        if size > MAX_SOURCES_TEXT:
            break
        shown.append(section(text))
    if len(shown) < len(citations):
        shown.append(context(f"and {len(citations) - len(shown)} more"))
    return shown


def source_text(citation: Citation) -> str:
    """Return a source: marker, linked title, where in it, date, and the exact quote."""
    url = opened_at(citation.url, citation.quote, citation.page)
    title = linked(shortened(citation.title or citation.document_id, MAX_TITLE), url if len(url) < 1_500 else "")
    where = f"p. {citation.page}" if citation.page is not None else escaped(shortened(citation.heading, MAX_TITLE))
    facts = [f"*[{citation.n}]* {title}", where, (citation.published_at or "")[:10]]
    quoted = escaped(shortened(" ".join(plain(line) for line in citation.quote.splitlines())))
    return " · ".join(fact for fact in facts if fact) + f"\n>“{quoted}”"


def footer(citations: Sequence[Citation], metadata: RunMetadata) -> str:
    documents = len({citation.document_id for citation in citations})
    how = "Quotes only, no model" if metadata.model == "extractive" else f"Written by {escaped(metadata.model)}"
    return f"{how} · Answered from {counted(documents, 'document')}"


def feedback_buttons(run_id: str) -> Block:
    def button(text: str, rating: int) -> Block:
        return {"text": {"type": "plain_text", "text": text}, "value": f"{run_id}:{rating}"}

    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": FEEDBACK,
                "positive_button": button("Good answer", 1),
                "negative_button": button("Bad answer", -1),
            }
        ],
    }


ABSTAINED = "I couldn't find an answer to that in the documents that everyone here may read."
ABSTAINED_PRIVATELY = "I couldn't find an answer to that in the documents that you may read."


def abstention_blocks(passages: Sequence[Passage], run_id: str, said: str = "") -> list[Block]:
    """Return what stands below an abstention: the closest documents, a hint, and the feedback buttons.

    A document that the text above (`said`) names already is listed only where the list can link to it.
    """
    closest: dict[str, Passage] = {}
    for passage in passages:
        closest.setdefault(passage.document_id, passage)
    names = [
        f"• {linked(shortened(passage.title or passage.document_id, 100), url)}"
        for passage in list(closest.values())[:3]
        if (url := opened_at(passage.url, "")) or not passage.title or passage.title not in said
    ]
    shown = [section("*Closest documents*\n" + "\n".join(names))] if names else []
    hint = "Know where the answer is? Add it with `/ingest URL` and ask again."
    return [*shown, context(hint), feedback_buttons(run_id)]


def task_chunk(passages: Sequence[Passage] | None) -> Block:
    """Return the stream's task card: under way while `passages` is None, complete with its sources afterwards."""
    task: Block = {"type": "task_update", "id": "search", "title": "Searching the documents"}
    if passages is None:
        return task | {"status": "in_progress"}
    found = {p.document_id: p for p in passages}
    sources = [
        {"type": "url", "url": url, "text": shortened(p.title or p.document_id, 100)}
        for p in found.values()
        if (url := opened_at(p.url, ""))
    ]
    task |= {"status": "complete", "output": counted(len(passages), "passage")}
    return task | {"sources": sources[:5]} if sources else task


# ---------------------------------------------------------------------------------------------------- the documents

STATUS_WORDS = {
    "queued": "⏳ queued",
    "processing": "⏳ fetching",
    "ready": "✅ ready",
    "failed": "⚠️ failed",
    "deleted": "🗑️ removed",
}


def document_line(document: Document) -> str:
    """Return one document: title, status, what is wrong with it, who may read it."""
    title = linked(shortened(document.title or document.url or document.document_id, 100), opened_at(document.url, ""))
    facts = [STATUS_WORDS[document.status]]
    if document.same_as:
        facts.append(f"the same as {_named(document.same_as_title or document.same_as)}")
    elif document.status == "ready":
        facts.append(counted(document.chunks, "chunk"))
    if document.similar_to:
        facts.append(f"nearly the same as {_named(document.similar_to_title or document.similar_to)}")
    if document.visibility != "team":
        facts.append("only here" if document.visibility.startswith("channel:") else "only you")
    facts.append(document.updated_at[:10])
    if document.checked_at:
        facts.append(f"checked {document.checked_at[:10]}{_how_often(document.refresh_days)}")
    line = f"{title}\n{' · '.join(facts)}"
    return f"{line}\n>{escaped(shortened(document.reason, 400))}" if document.reason else line


def _named(title: str) -> str:
    return f"“{escaped(shortened(title, 60))}”"


def _how_often(refresh_days: int | None) -> str:
    if refresh_days is None:
        return ""
    return ", every day" if refresh_days == 1 else f", every {refresh_days} days"


def document_blocks(documents: Sequence[Document], heading: str) -> list[Block]:
    """Return a numbered list with buttons to refresh and to remove each."""
    blocks = [section(heading)]
    for number, document in enumerate(documents, 1):
        blocks.append(section(f"*{number}.* {document_line(document)}"))
        if len(document.document_id) <= 1_900:
            blocks.append(_document_buttons(document))
    return blocks


def _document_buttons(document: Document) -> Block:
    refresh = _button("Refresh", "document_refresh", document.document_id)
    remove = _remove_button(document.document_id)
    return {"type": "actions", "elements": [refresh, remove] if document.url else [remove]}


def remove_button(document_id: str) -> Block:
    """Return the one button that takes a document out again."""
    return {"type": "actions", "elements": [_remove_button(document_id)]}


def cancel_button(action: str, value: str) -> Block:
    return {"type": "actions", "elements": [_button("Cancel", action, value) | {"style": "danger"}]}


def _remove_button(document_id: str) -> Block:
    confirm = {
        "title": {"type": "plain_text", "text": "Remove this document?"},
        "text": {"type": "plain_text", "text": "It leaves every answer at once."},
        "confirm": {"type": "plain_text", "text": "Remove"},
        "deny": {"type": "plain_text", "text": "Keep"},
    }
    return _button("Remove", "document_remove", document_id) | {"style": "danger", "confirm": confirm}


def _button(text: str, action: str, value: str) -> Block:
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": text},
        "action_id": action,
        "value": value,
    }


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
