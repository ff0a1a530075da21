"""Everything that Slack shows, as Block Kit. Pure, and within Slack's limits whatever the documents hold.

Limits: 50 blocks a message, 3,000 characters a section, 12,000 a Markdown block, 13,200 all blocks of a message.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.schema import Citation, Document, Passage, RunMetadata
from bot.defang import defanged as defanged
from bot.defang import escaped as escaped
from bot.defang import linked as linked
from bot.quotes import opened_at, plain, shortened
from bot.slack import Block

MAX_SOURCES = 10
MAX_SOURCES_TEXT = 5_500
"""Characters of all sources together: beside a page of 6,500 they stay under the message's 13,200."""
MAX_UNFOLDED = 3
"""Sources that are shown at once; more are folded."""
MAX_TITLE = 150
MAX_FALLBACK = 3_900
"""Characters of `text`, which notifications and screen readers use; chat.update takes 4,000."""
FEEDBACK = "feedback"
"""The action id of the feedback buttons; their value is `run_id:1` or `run_id:-1`."""
ASK_PLAINLY = "ask_plainly"
"""The action id of the button that asks again without the filter; its value is `ts:question`."""
MAX_ASKED = 1_900
"""Characters of a question that fit into the value of a button, which takes 2,000."""


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
    """Return what stands below an answer: its sources, to be folded away, the footer and the feedback buttons."""
    return [*folded_sources(citations), context(footer(citations, metadata)), feedback_buttons(run_id)]


def filter_blocks(described: str, notices: Sequence[str], asked_ts: str, question: str) -> list[Block]:
    """Return how the question was understood, with a button that asks it again without that; nothing if there is
    nothing to say."""
    shown: list[Block] = []
    if described:
        line = section(f"*Filter:* {escaped(shortened(described, 400))}")
        label = "Ask without it: answer again without this filter"
        again = button("Ask without it", ASK_PLAINLY, f"{asked_ts}:{question}", label)
        shown.append(line | {"accessory": again} if len(question) <= MAX_ASKED else line)
    return [*shown, *([context(escaped(" ".join(notices)))] if notices else [])]


def source_blocks(citations: Sequence[Citation]) -> list[Block]:
    """Return one section per citation, in the order of the markers, as many as fit."""
    shown = _sources(citations)
    return [*shown, context(left)] if (left := _left_out(citations, shown)) else shown


def folded_sources(citations: Sequence[Citation]) -> list[Block]:
    """Return the sources in a container that folds, and is folded where they are many; [] if there are none."""
    shown = _sources(citations)
    if not shown:
        return []
    container: Block = {
        "type": "container",
        "title": {"type": "plain_text", "text": f"Sources ({len(citations)})"},
        "is_collapsible": True,
        "default_collapsed": len(citations) > MAX_UNFOLDED,
        "child_blocks": shown,
    }
    left = _left_out(citations, shown)
    return [container | {"subtitle": {"type": "plain_text", "text": left}} if left else container]


def _sources(citations: Sequence[Citation]) -> list[Block]:
    shown: list[Block] = []
    size = 0
    for citation in citations[:MAX_SOURCES]:
        text = source_text(citation)
        size += len(text)
        if size > MAX_SOURCES_TEXT:
            break
        shown.append(section(text))
    return shown


def _left_out(citations: Sequence[Citation], shown: Sequence[Block]) -> str:
    return f"and {len(citations) - len(shown)} more" if len(shown) < len(citations) else ""


def plainer(shown: Sequence[Block]) -> list[Block]:
    """Return blocks without containers, which not every Slack takes: what is in them stands alone."""
    return [inner for block in shown for inner in block.get("child_blocks", [block])]


CAPTION = "caption of an image, written by a model"


def source_text(citation: Citation) -> str:
    """Return a source: marker, linked title, where in it, date, and the exact quote."""
    caption = citation.kind == "caption"  # its words are nowhere on the page
    url = opened_at(citation.url, "" if caption else citation.quote, citation.page)
    title = linked(shortened(citation.title or citation.document_id, MAX_TITLE), url if len(url) < 1_500 else "")
    where = f"p. {citation.page}" if citation.page is not None else escaped(shortened(citation.heading, MAX_TITLE))
    facts = [f"*[{citation.n}]* {title}", where, CAPTION if caption else "", (citation.published_at or "")[:10]]
    quoted = escaped(shortened(" ".join(plain(line) for line in citation.quote.splitlines())))
    return " · ".join(fact for fact in facts if fact) + f"\n>“{quoted}”"


def footer(citations: Sequence[Citation], metadata: RunMetadata) -> str:
    documents = len({citation.document_id for citation in citations})
    return f"{_written_by(metadata)} · Answered from {counted(documents, 'document')}"


def _written_by(metadata: RunMetadata) -> str:
    if metadata.model == "extractive":
        return "Quotes only: no model could answer" if metadata.degraded == "quoted" else "Quotes only, no model"
    broken = ", interrupted" if metadata.degraded == "interrupted" else ""
    return f"Written by {escaped(metadata.model)}{broken}: it can be wrong, so check the quotes"


def feedback_buttons(run_id: str) -> Block:
    def choice(text: str, label: str, rating: int) -> Block:
        said = {"text": {"type": "plain_text", "text": text}, "accessibility_label": label}
        return said | {"value": f"{run_id}:{rating}"}

    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": FEEDBACK,
                "positive_button": choice("Good answer", "Good answer: it helped", 1),
                "negative_button": choice("Bad answer", "Bad answer: say what was wrong", -1),
            }
        ],
    }


def stopped_blocks(passages: Sequence[Passage] = ()) -> list[Block]:
    """Return what stands below an answer that was stopped: which documents it had been reading."""
    read = {p.document_id: linked(shortened(p.title or p.document_id, 100), opened_at(p.url, "")) for p in passages}
    named = ", ".join(list(read.values())[:5])
    return [context(f"Stopped. What stands above was checked against: {named}" if named else "Stopped.")]


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
    facts.extend(escaped(notice) for notice in document.notices)
    if document.visibility != "team":
        facts.append(_readers(document.visibility))
    facts.append(document.updated_at[:10])
    if document.checked_at:
        facts.append(f"checked {document.checked_at[:10]}{_how_often(document.refresh_days)}")
    line = f"{title}\n{' · '.join(facts)}"
    return f"{line}\n>{escaped(shortened(document.reason, 400))}" if document.reason else line


def _readers(visibility: str) -> str:
    """Return who may read a document that is not everybody's, as one of them is told."""
    kind, _, subject = visibility.partition(":")
    if kind != "channel":
        return "only you"
    return "only here" if subject.startswith("D") else f"only in <#{escaped(subject)}>"


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
    title = document.title or document.document_id
    refresh = button("Refresh", "document_refresh", document.document_id, f"Refresh {title}")
    remove = _remove_button(document.document_id, title)
    return {"type": "actions", "elements": [refresh, remove] if document.url else [remove]}


def remove_button(document_id: str) -> Block:
    """Return the one button that takes a document out again."""
    return {"type": "actions", "elements": [_remove_button(document_id)]}


def cancel_button(action: str, value: str) -> Block:
    return {"type": "actions", "elements": [button("Cancel", action, value) | {"style": "danger"}]}


def _remove_button(document_id: str, title: str = "this document") -> Block:
    confirm = {
        "title": {"type": "plain_text", "text": "Remove this document?"},
        "text": {"type": "plain_text", "text": "It leaves every answer at once."},
        "confirm": {"type": "plain_text", "text": "Remove"},
        "deny": {"type": "plain_text", "text": "Keep"},
    }
    return button("Remove", "document_remove", document_id, f"Remove {title}") | {"style": "danger", "confirm": confirm}


def button(text: str, action: str, value: str, label: str = "") -> Block:
    """Return a button; `label` is what a screen reader says where the text alone is not enough."""
    shown: Block = {
        "type": "button",
        "text": {"type": "plain_text", "text": text},
        "action_id": action,
        "value": value,
    }
    return shown | ({"accessibility_label": shortened(label, 75)} if label else {})


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
