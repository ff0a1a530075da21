"""What a page holds but does not show: taken out before its text is read. Pure but for the tree, which it changes.

Inline styles are believed as they stand. What a stylesheet hides is mostly a tab or a fold that a click opens, so that
is taken out only where it speaks to a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lxml import html

from backend.ingest.suspect import addressing

TINY = 2.0
"""Pixels or points of type that nobody reads."""
FAINT = 0.05
FAR = 999.0
"""Pixels outside of the page."""
MAX_STYLESHEET = 500_000
MAX_RULES = 5_000
_NUMBER = re.compile(r"-?\d*\.?\d+")
_SIMPLE = re.compile(r"(?:[a-z][a-z0-9]*)?(?:\.([\w-]+)|#([\w-]+))\Z", re.I)
_WHITE = re.compile(r"#fff(?:fff)?\Z|white\Z|rgba?\(\s*255\s*,\s*255\s*,\s*255\s*(?:,\s*1(?:\.0+)?\s*)?\)\Z")
_UNSEEN = re.compile(r"transparent\Z|rgba\([^)]*,\s*0(?:\.0+)?\s*\)\Z|#[0-9a-f]{6}00\Z|#[0-9a-f]{3}0\Z")
_CLIPPED = re.compile(r"rect\(\s*(?:0|1)(?:px)?[\s,]|inset\(\s*(?:50|100)%|circle\(\s*0")

Style = Mapping[str, str]


def strip_hidden(tree: html.HtmlElement) -> None:
    """Take out the elements whose text a reader of the page does not see."""
    folded = _folded(tree)
    for element in [*tree.xpath("//*[@style]")]:
        style = read_style(element.get("style", ""))
        if hides(style) or (_is_white(style) and _on_nothing(element)):
            _drop(element)
    for element in [*tree.xpath("//*[@class or @id]")] if folded else []:
        names = {f".{name}" for name in element.get("class", "").split()} | {f"#{element.get('id', '')}"}
        if names & folded and addressing(element.text_content()):
            _drop(element)


def read_style(text: str) -> dict[str, str]:
    """Return the declarations of a style, in lower case."""
    pairs = (part.partition(":") for part in text.lower().split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs if value.strip()}


def hides(style: Style) -> bool:
    """Whether text in this style cannot be seen, whatever stands around it."""
    colour = style.get("color", "")
    return (
        style.get("display") == "none"
        or style.get("visibility") in ("hidden", "collapse")
        or _number(style.get("opacity"), 1) <= FAINT
        or _is_tiny(style.get("font-size", ""))
        or any(_number(style.get(side), 0) <= -FAR for side in ("left", "top", "right", "text-indent", "margin-left"))
        or bool(_CLIPPED.search(f"{style.get('clip', '')} {style.get('clip-path', '')}"))
        or (
            style.get("overflow") == "hidden" and min(_number(style.get(side), 99) for side in ("width", "height")) <= 1
        )
        or bool(_UNSEEN.match(colour))
        or bool(colour and colour == style.get("background-color", style.get("background")))
    )


def _is_tiny(size: str) -> bool:
    number = _number(size, 99)
    return number == 0 or (number <= TINY and size.endswith(("px", "pt"))) or (number < 0.15 and size.endswith("em"))


def _number(value: str | None, otherwise: float) -> float:
    found = _NUMBER.match(value or "")
    return float(found.group()) if found else otherwise


def _is_white(style: Style) -> bool:
    return bool(_WHITE.match(style.get("color", "")))


def _on_nothing(element: html.HtmlElement) -> bool:
    """Whether nothing around an element can give it a background but the page itself."""
    around = [element, *element.iterancestors()]
    return not any(one.get("class") or one.get("bgcolor") or "background" in one.get("style", "") for one in around)


def _folded(tree: html.HtmlElement) -> set[str]:
    """Return the classes and ids that a stylesheet of the page hides."""
    text = "\n".join(str(one) for one in tree.xpath("//style/text()"))[:MAX_STYLESHEET]
    rules = [part.rpartition("{") for part in text.split("}")[:MAX_RULES]]
    hiding = [selectors for selectors, brace, style in rules if brace and hides(read_style(style))]
    return {name for selectors in hiding for selector in selectors.split(",") for name in _names(selector)}


def _names(selector: str) -> Iterator[str]:
    found = _SIMPLE.match(selector.rpartition("{")[2].strip())
    if found:
        yield f".{found[1]}" if found[1] else f"#{found[2]}"


def _drop(element: html.HtmlElement) -> None:
    if element.getparent() is not None:
        element.drop_tree()
