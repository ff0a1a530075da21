"""Text that speaks to a model instead of to a reader: counted and told, never removed. Pure.

It is kept as data: what an answer may say is decided by the check of each sentence, not by this. People who look after
the documents should know all the same that somebody has tried.
"""

from __future__ import annotations

import re

from backend.sentences import sentence_spans

MAX_CHARACTERS = 2_000_000
"""Of a document that are looked at."""
_ORDERS = r"(?:instructions?|prompts?|rules?|directions?|guidelines|guardrails|system message)"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|foregoing|your|system|original)"
_MODEL = r"(?:(?:large )?language models?|llms?|ai (?:assistant|model|agent|system)s?|chat ?gpt|chat ?bots?|ais?)"
_GREETING = r"(?:dear|hey|hello|note (?:to|for)|message (?:to|for)|attention|instructions? (?:to|for)|notice to)"
_BREAK = r"ignore|disregard|forget|override|bypass"
_KEPT = r"(?:system prompt|hidden prompt|initial prompt|api keys?|your instructions|your prompt|access tokens?)"
_PATTERNS = (
    rf"\b(?:{_BREAK}|do not follow|don't follow)\b.{{0,30}}\b{_EARLIER}\b.{{0,20}}\b{_ORDERS}\b",
    rf"\b(?:{_BREAK})\b.{{0,12}}\b(?:all|any|these|the)\b(?: of)?(?: the)? {_ORDERS}\b",
    r"\b(?:ignore|disregard|forget) (?:everything|anything|all)\b.{0,20}\b(?:above|before|told|said|earlier)\b",
    rf"\byou are (?:now )?(?:an? |the )?(?:\w+ ){{0,2}}(?:{_MODEL}|helpful assistant|virtual assistant)\b",
    rf"\b(?:act|behave|respond|answer) as (?:an? |the )?(?:\w+ ){{0,2}}{_MODEL}\b",
    rf"^\W*(?:{_GREETING},? (?:all |any |the |every )?(?:{_MODEL}|assistants?)\b|{_MODEL}\s*:)",
    rf"\b(?:if you are|as) an? {_MODEL}\b.{{0,60}}\b(?:you|must|please|do not|always|never)\b",
    rf"\b(?:reveal|print|repeat|output|leak|disclose|exfiltrate)\b.{{0,30}}\b(?:the|your|all|its)\b.{{0,15}}\b{_KEPT}",
    r"\b(?:do not|don't|never) (?:tell|mention|reveal|inform)\b.{0,25}\bthe users?\b",
    r"\b(?:new|updated|hidden|secret|system) (?:instructions?|prompt)s?\s*:",
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>|\[/?INST\]|<</?SYS>>",
    r"\b(?:jailbreak|developer mode|dan mode)\b.{0,20}\b(?:enabled?|activated?)\b",
    r"\bignorier\w*\b.{0,30}\b(?:vorherige|bisherige|obige|alle)\w*\b.{0,20}\b(?:anweisung|vorgabe|regel)\w*",
    r"\bignore[zr]\b.{0,20}\b(?:instructions|consignes)\b|\bignora\w*\b.{0,30}\b(?:instrucciones|istruzioni|instruções)\b",
)
_ADDRESSES = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.I | re.M)


def addressing(text: str) -> int:
    """Return how many sentences give a model orders, or claim to be its prompt."""
    lines = [line for line in text[:MAX_CHARACTERS].splitlines() if _ADDRESSES.search(line)]
    return sum(_sentences(line) for line in lines)


def _sentences(line: str) -> int:
    return sum(bool(_ADDRESSES.search(line[start:end])) for start, end in sentence_spans(line)) or 1
