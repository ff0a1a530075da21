"""Office's equations (OMML, ECMA-376 part 1, chapter 22.1) → LaTeX. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

from lxml import etree

MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_GREEK = frozenset(
    (  # noqa: SIM905
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lamda mu nu xi pi rho sigma tau upsilon phi chi psi "
        "omega"
    ).split()
)
_SYMBOLS = {
    "∞": "infty", "≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "≡": "equiv", "∼": "sim", "∝": "propto",
    "×": "times", "÷": "div", "±": "pm", "∓": "mp", "·": "cdot", "⋅": "cdot", "∗": "ast", "∘": "circ",
    "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq", "∪": "cup", "∩": "cap", "∅": "emptyset",
    "∀": "forall", "∃": "exists", "¬": "neg", "∧": "wedge", "∨": "vee", "→": "to", "←": "leftarrow",
    "⇒": "Rightarrow", "⇔": "Leftrightarrow", "↦": "mapsto", "∂": "partial", "∇": "nabla", "…": "ldots", "⋯": "cdots",
    "⋮": "vdots", "⋱": "ddots", "√": "surd", "ℏ": "hbar", "ℓ": "ell", "∑": "sum", "∏": "prod", "∫": "int",
}  # fmt: skip
_OPERATORS = {
    "∑": "sum", "∏": "prod", "∐": "coprod", "∫": "int", "∬": "iint", "∭": "iiint", "∮": "oint", "∯": "oiint",
    "∰": "oiiint", "⋃": "bigcup", "⋂": "bigcap", "⋁": "bigvee", "⋀": "bigwedge",
}  # fmt: skip
_ACCENTS = {
    "\u0302": "hat",
    "\u0303": "tilde",
    "\u0304": "bar",
    "\u0305": "overline",
    "\u0307": "dot",
    "\u0308": "ddot",
}
_ACCENTS |= {"\u20d7": "vec", "\u030c": "check", "\u0306": "breve", "^": "hat", "~": "tilde", "¯": "bar", "→": "vec"}
_FUNCTIONS = frozenset(
    (  # noqa: SIM905
        "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln lg exp lim max min sup inf det dim ker gcd "
        "deg arg hom Pr"
    ).split()
)
_PLAIN = str.maketrans({"\u2013": "-", "\u2212": "-", "\u2061": "", "\u2009": " ", "\u00a0": " "})
MAX_DEPTH = 60


def latex(element: etree._Element, depth: int = 0) -> str:
    """Return an `m:oMath`, or an element within one, as LaTeX; what is nested beyond `MAX_DEPTH` as plain text."""
    if depth > MAX_DEPTH:
        return "".join(str(text.text or "") for text in element.iter(MATH + "t"))
    name = element.tag.removeprefix(MATH) if isinstance(element.tag, str) else ""
    if name == "r":
        return _run(element)
    write = _WRITERS.get(name)
    if write:
        return write(_Parts(element, depth))
    return "".join(latex(child, depth + 1) for child in element if not str(child.tag).endswith("Pr"))


class _Parts:
    """An element's named parts, as LaTeX."""

    def __init__(self, element: etree._Element, depth: int) -> None:
        self.element, self._depth = element, depth

    def __getitem__(self, name: str) -> str:
        part = self.element.find(MATH + name)
        return latex(part, self._depth + 1).strip() if part is not None else ""

    def all(self, name: str) -> list[str]:
        return [latex(part, self._depth + 1).strip() for part in self.element.findall(MATH + name)]

    def prop(self, name: str, default: str) -> str:
        """Return the value of a property; "" where it is there without one."""
        found = self.element.find(f"{MATH}{self.element.tag.removeprefix(MATH)}Pr/{MATH}{name}")
        return default if found is None else str(found.get(MATH + "val") or "")


def _run(run: etree._Element) -> str:
    text = unicodedata.normalize("NFKC", "".join(str(part.text or "") for part in run.iter(MATH + "t")))
    return "".join(map(_symbol, text.translate(_PLAIN)))


def _symbol(character: str) -> str:
    if character in _SYMBOLS:
        return f"\\{_SYMBOLS[character]} "
    if "\u0391" <= character <= "\u03f6":
        return _greek(character)
    return "\\" + character if character in "%#&_$" else character


def _greek(character: str) -> str:
    name = unicodedata.name(character, "").removesuffix(" SYMBOL").split()
    word = name[-1].lower() if name[:1] == ["GREEK"] and len(name) >= 3 else ""
    if word not in _GREEK:
        return character
    word = "lambda" if word == "lamda" else word
    return f"\\{word.capitalize() if name[1] == 'CAPITAL' else word} "


def _fraction(parts: _Parts) -> str:
    kind = parts.prop("type", "bar")
    if kind == "noBar":
        return f"\\binom{{{parts['num']}}}{{{parts['den']}}}"
    return f"{parts['num']}/{parts['den']}" if kind == "lin" else f"\\frac{{{parts['num']}}}{{{parts['den']}}}"


def _root(parts: _Parts) -> str:
    degree = parts["deg"]
    return f"\\sqrt[{degree}]{{{parts['e']}}}" if degree else f"\\sqrt{{{parts['e']}}}"


def _scripts(parts: _Parts) -> str:
    low, high = parts["sub"], parts["sup"]
    return parts["e"] + (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")


def _before(parts: _Parts) -> str:
    return f"{{}}_{{{parts['sub']}}}^{{{parts['sup']}}}{parts['e']}"


def _delimited(parts: _Parts) -> str:
    begin, end = parts.prop("begChr", "("), parts.prop("endChr", ")")
    inner = parts.prop("sepChr", "|").join(parts.all("e"))
    return f"\\left{_bracket(begin)}{inner}\\right{_bracket(end)}"


def _bracket(character: str) -> str:
    return "\\" + character if character in ("{", "}") and character else character or "."


def _nary(parts: _Parts) -> str:
    operator = parts.prop("chr", "∫")
    low, high = parts["sub"], parts["sup"]
    scripts = (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")
    return f"\\{_OPERATORS.get(operator, 'int')}{scripts or ' '}{parts['e']}"


def _function(parts: _Parts) -> str:
    return f"{_named(parts['fName'])}({parts['e']})"


def _named(name: str) -> str:
    word = name.strip()
    return (
        f"\\{word}" if word in _FUNCTIONS else f"\\operatorname{{{word}}}" if word.isalpha() and len(word) > 1 else word
    )


def _below(parts: _Parts) -> str:
    return f"{_named(parts['e'])}_{{{parts['lim']}}}"


def _above(parts: _Parts) -> str:
    return f"\\overset{{{parts['lim']}}}{{{parts['e']}}}"


def _accent(parts: _Parts) -> str:
    return f"\\{_ACCENTS.get(parts.prop('chr', chr(0x302)), 'hat')}{{{parts['e']}}}"


def _bar(parts: _Parts) -> str:
    return f"\\{'overline' if parts.prop('pos', 'bot') == 'top' else 'underline'}{{{parts['e']}}}"


def _grouped(parts: _Parts) -> str:
    return f"\\{'overbrace' if parts.prop('pos', 'bot') == 'top' else 'underbrace'}{{{parts['e']}}}"


def _lines(parts: _Parts) -> str:
    rows = parts.all("e")
    return rows[0] if len(rows) == 1 else "\\begin{aligned}" + " \\\\ ".join(rows) + "\\end{aligned}"


def _matrix(parts: _Parts) -> str:
    rows = (
        " & ".join(latex(cell).strip() for cell in row.findall(MATH + "e")) for row in parts.element.iter(MATH + "mr")
    )
    return "\\begin{matrix}" + " \\\\ ".join(rows) + "\\end{matrix}"


_WRITERS: Mapping[str, Callable[[_Parts], str]] = {
    "f": _fraction, "rad": _root, "sSub": _scripts, "sSup": _scripts, "sSubSup": _scripts, "sPre": _before,
    "d": _delimited, "nary": _nary, "func": _function, "limLow": _below, "limUpp": _above, "acc": _accent,
    "bar": _bar, "groupChr": _grouped, "eqArr": _lines, "m": _matrix,
}  # fmt: skip
