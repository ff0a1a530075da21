"""Each format: what is kept of a small document of it, what is known of that, and why a broken one has no text."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from backend.domain import Document, Extracted, Metadata, Origin, Visibility
from backend.errors import Unreadable
from backend.ingest.describe import describe
from backend.ingest.extract import extract
from backend.ingest.ocr import Ocr, OcrTooSlow, find_ocr
from backend.ingest.sniff import sniff
from backend.ports import Fetched
from tests.fakes.documents import (
    CORE,
    archive,
    docx,
    drawn,
    epub,
    line,
    odt,
    paragraph,
    pdf,
    png,
    pptx,
    relations,
    scan,
    shape,
    xlsx,
)
from tests.fakes.documents import (
    NAMES as NAMESPACES,
)
from tests.ocr import needs_ocr

DAY = datetime(2024, 3, 5, tzinfo=UTC)


def read(content: bytes | str, name: str = "", media_type: str = "") -> Extracted:
    return extract(Fetched(content.encode() if isinstance(content, str) else content, "", media_type, name))


# ---------------------------------------------------------------------------------------------------------------- HTML


def page(body: str) -> str:
    return f"<!doctype html><html><head><title>T</title></head><body>{body}</body></html>"


def test_merged_cells_of_a_web_table_are_filled_in() -> None:
    rows = (
        "<tr><th>Y</th><th colspan=2>Days</th></tr><tr><td rowspan=2>1</td><td>a</td><td>b</td></tr><tr><td colspan=2>c"
    )
    assert read(page(f"<table>{rows}</table>")).text == (
        "| Y | Days | Days |\n| --- | --- | --- |\n| 1 | a | b |\n| 1 | c | c |"
    )


def test_a_table_that_only_places_text_is_no_table() -> None:
    prose = "<p>" + "Leave is paid for every member of staff. " * 6 + "</p>"
    assert "|" not in read(page(f"<table><tr><td>{prose}{prose}</td><td>Menu</td></tr></table>")).text


def test_code_keeps_its_lines_and_language() -> None:
    found = read(page('<pre><code class="language-python">for x in y:\n    print("`a`")</code></pre>')).text
    assert found == '```python\nfor x in y:\n    print("`a`")\n```'


def test_nested_lists_keep_their_levels_and_numbers() -> None:
    found = read(page("<ol start=4><li>Ask<ul><li>your lead<li>Ana</ul><li>Wait</ol>")).text
    assert found == "4. Ask\n   - your lead\n   - Ana\n5. Wait"


def test_what_looks_like_markdown_in_a_page_is_escaped() -> None:
    found = read(page("<p># 1 * 2 * 3</p><p>&lt;name&gt; &amp;amp; snake_case</p><p>1. x")).text
    assert found == "\\# 1 \\* 2 \\* 3\n\n\\<name> &amp;amp; snake_case\n\n1\\. x"


def test_an_article_loses_its_menus_and_edges() -> None:
    prose = "".join(
        f"<p>Every member of staff gets {n} days of paid leave in a year, from the day they join.</p>" * 3
        for n in range(8)
    )
    menu = "".join(f"<li><a href='/{n}'>Our great product number {n}</a></li>" for n in range(9))
    found = read(
        page(f"<div>Posted in News</div><ul>{menu}</ul><h1>Leave</h1>{prose}<div><a href=/x>Read the next article</a>")
    ).text
    assert "# Leave" in found
    assert "great product" not in found
    assert "next article" not in found


# ----------------------------------------------------------------------------------------------------------------- PDF

PROSE = "the leave of each member of staff is paid in full"


def test_two_columns_are_read_one_after_the_other() -> None:
    title = line("Staff leave in the company and who may take how much of it when", 72, 740, 12)
    left = "".join(line(f"left {n} {PROSE}", 60, 700 - 13 * n, 10) for n in range(12))
    right = "".join(line(f"right {n} {PROSE}", 345, 705 - 13 * n, 10) for n in range(12))
    text = " ".join(read(drawn(title + left + right)).text.split())
    wanted = ["Staff leave", *(f"left {n} " for n in range(12)), *(f"right {n} " for n in range(12))]
    places = [text.index(one) for one in wanted]
    assert places == sorted(places)


def test_rows_and_columns_of_a_pdf_become_a_table() -> None:
    cells = (("Years", "Days", "Note"), ("0 to 2", "26", ""), ("3 to 5", "28", "from March"))
    drawing = "".join(
        line(cell, 72 + 150 * x, 700 - 16 * y) for y, row in enumerate(cells) for x, cell in enumerate(row) if cell
    )
    assert read(drawn(line("See the table below for the days of leave.", 72, 730) + drawing)).text.endswith(
        "| Years | Days | Note |\n| --- | --- | --- |\n| 0 to 2 | 26 |  |\n| 3 to 5 | 28 | from March |"
    )


def test_large_type_makes_headings_and_wrapped_lines_are_joined() -> None:
    text = (
        "Every member of staff gets twenty-six days of leave in a year, which are count-",
        "ed from the day they join.",
    )
    drawing = line("Leave policy", 72, 740, 20) + "".join(line(one, 72, 700 - 14 * n) for n, one in enumerate(text))
    assert read(drawn(drawing)).text == f"# Leave policy\n\n{text[0][:-1]}{text[1]}"


def test_running_heads_and_page_numbers_are_left_out() -> None:
    pages = [
        line("ACME Handbook 2024", 72, 770) + line(f"Rule {n} is here.", 72, 700) + line(f"Page {n} of 4", 72, 30)
        for n in range(1, 5)
    ]
    found = read(drawn(*pages))
    assert found.text == "\n\n".join(f"Rule {n} is here." for n in range(1, 5))
    assert [number for _, number in found.pages] == [1, 2, 3, 4]


def test_a_page_that_stands_on_its_side_is_no_reason_to_stop() -> None:
    stamp = "BT /F1 12 Tf 0 1 -1 0 30 300 Tm (DRAFT COPY) Tj ET\n"
    assert read(drawn(stamp + line("Leave is paid in full here.", 72, 700))).text == "Leave is paid in full here."


# ----------------------------------------------------------------------------------------------------------------- OCR


@needs_ocr
def test_a_scan_is_read_with_its_page() -> None:
    found = extract(Fetched(scan("Parental leave is twenty-six weeks."), "", ""), find_ocr())
    assert found.text == "Parental leave is twenty-six weeks."
    assert found.pages == ((0, 1),)


@needs_ocr
def test_an_image_is_read() -> None:
    found = extract(Fetched(png("The kitchen opens at nine."), "", "image/png"), find_ocr())
    assert found.text == "The kitchen opens at nine."
    assert found.metadata.doc_type == "image"


@needs_ocr
def test_languages_that_are_not_installed_are_left_out_or_named() -> None:
    found = find_ocr("eng+xxx")
    assert found is not None
    assert found.languages == "eng"
    with pytest.raises(Unreadable, match="no data here for the language xxx; install the package tesseract-ocr-xxx"):
        find_ocr("xxx")


@pytest.mark.parametrize(
    ("content", "words"),
    [(scan("Some words"), "no text layer .* OCR is not installed"), (png("x"), "an image, and OCR")],
)
def test_without_ocr_a_picture_of_text_says_so(content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(content)


def test_a_scan_that_takes_too_long_says_how_much_would_do() -> None:
    ticks = iter(range(0, 1000, 10))
    ocr = Ocr("eng", seconds=5, clock=lambda: float(next(ticks)), program="true")
    ocr.read(b"")
    with pytest.raises(OcrTooSlow):
        ocr.read(b"")


# -------------------------------------------------------------------------------------------------------------- Office

STYLES = """<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Sub"><w:name w:val="Mine"/><w:basedOn w:val="H1"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:styleId="Code"><w:name w:val="Source Code"/></w:style></w:styles>"""
NUMBERS = """<w:numbering xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:abstractNum w:abstractNumId="0">
<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>"""


def word(body: str, **parts: str) -> str:
    listed = {
        "r1": "styles styles.xml",
        "r2": "numbering numbering.xml",
        "r3": "footnotes footnotes.xml",
        "r4": "chart chart.xml",
    }
    files = {
        "word/styles.xml": STYLES,
        "word/numbering.xml": NUMBERS,
        "word/_rels/document.xml.rels": relations(**listed),
    }
    return read(docx(body=body, parts=files | {f"word/{name}.xml": text for name, text in parts.items()})).text


def test_a_word_document_keeps_headings_with_their_numbers_lists_and_code() -> None:
    body = (
        paragraph("Leave", style="H1", numbered=0) + paragraph("Parental", style="Sub") + paragraph("first", numbered=0)
        + paragraph("below", numbered=1) + paragraph("a = 1", style="Code") + paragraph("b = 2", style="Code")
    )  # fmt: skip
    assert word(body) == "# 1\\. Leave\n\n## Parental\n\n2. first\n    - 2.a) below\n\n```\na = 1\nb = 2\n```"


def test_merged_cells_of_a_word_table_are_filled_in() -> None:
    def cell(text: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"

    down, on = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    rows = (
        cell("A") + cell("B", '<w:gridSpan w:val="2"/>'),
        cell("x", down) + cell("1") + cell("2"),
        cell("", on) + cell("3") + cell("4"),
    )
    found = word(f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>")
    assert found == "| A | B | B |\n| --- | --- | --- |\n| x | 1 | 2 |\n| x | 3 | 4 |"


def test_boxes_notes_charts_and_equations_are_kept_and_deleted_text_is_not() -> None:
    box = f"<w:r><w:pict><w:txbxContent>{paragraph('In a box')}</w:txbxContent></w:pict></w:r>"
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    math = "<m:oMath><m:f><m:num><m:r><m:t>α</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"
    gone = "<w:del><w:r><w:delText>secret</w:delText></w:r></w:del>"
    chart = '<w:r><w:drawing><c:chart r:id="r4"/></w:drawing></w:r>'
    point = "<c:pt idx='0'><c:v>{}</c:v></c:pt>"
    named = {"tx": "Sales", "cat": "May", "val": "7"}
    series = "".join(f"<c:{name}>{point.format(one)}</c:{name}>" for name, one in named.items())
    found = word(
        f"<w:p><w:r><w:t>Area </w:t></w:r>{math}{note}{box}{gone}{chart}</w:p>",
        footnotes='<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f'<w:footnote w:id="2">{paragraph("Said Ana.")}</w:footnote></w:footnotes>',
        chart='<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"><c:chart><c:plotArea>'
        f"<c:barChart><c:ser>{series}</c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>",
    )
    assert found == (
        "Area $\\frac{\\alpha}{2}$ [2]\n\n\\[2\\] Said Ana.\n\nIn a box\n\n"
        "Bar chart\n\n|  | Sales |\n| --- | --- |\n| May | 7 |"
    )


def test_slides_are_pages_with_their_notes() -> None:
    notes = relations(n="notesSlide ../notesSlides/n.xml")
    found = read(
        pptx(
            shape("Low", top=5_000_000) + shape("Plan", kind="title")
            + shape("One", " Two", kind="body") + shape("7", kind="sldNum"),
            shape("Only this"),
            parts={
                "ppt/slides/_rels/slide0.xml.rels": notes,
                "ppt/notesSlides/n.xml": f"<p:notes {NAMESPACES}>{shape('Say hello', kind='body')}</p:notes>",
            },
        )
    )  # fmt: skip
    assert found.text == "## Plan\n\n- One\n  - Two\n\nLow\n\nNotes: Say hello\n\n## Slide 2\n\nOnly this"
    assert [number for _, number in found.pages] == [1, 2]


def test_a_sheet_becomes_a_table_with_its_header() -> None:
    found = read(xlsx([["Product", "Price"], ["Desk", 99.5]])).text
    assert found == "## Prices\n\n| Product | Price |\n| --- | --- |\n| Desk | 99.5 |"


def test_an_open_document_is_read() -> None:
    item = "<text:list-item><text:p>One</text:p></text:list-item>"
    body = f'<text:h text:outline-level="1">Leave</text:h><text:list>{item}</text:list>'
    assert read(odt(body)).text == "# Leave\n\n- One"


def test_an_e_book_is_read_in_the_order_of_its_spine() -> None:
    assert read(epub("<h1>Leave</h1><p>Staff get 26 days.</p>", "<h1>Pay</h1><p>Monthly.</p>")).text == (
        "# Leave\n\nStaff get 26 days.\n\n# Pay\n\nMonthly."
    )


RTF = rb"{\rtf1\ansi{\info{\title Leave policy}{\author Ana Lima}}Staff get 26 days, \u252? too.\par}"


def test_rich_text_is_read() -> None:
    assert read(RTF).text == "Staff get 26 days, ü too."


# ----------------------------------------------------------------------------------------------------- structured text

RST = """Title
=====

:Author: Ana Lima

See :ref:`the rules <rules>`.

Part
----

.. note:: Mind the gap.

.. versionadded:: 2.0
   Now with ``leave``.

.. code-block:: sh

   make run

====  ====
Year  Days
====  ====
1     26
====  ====
"""


def test_restructured_text_is_read() -> None:
    found = read(RST, "a.rst")
    text = "\n".join(one for one in found.text.split("\n") if one)
    assert text == (
        "# Title\nSee the rules.\n## Part\nMind the gap.\n2.0\nNow with `leave`.\n```sh\nmake run\n```\n"
        "| Year | Days |\n| --- | --- |\n| 1 | 26 |"
    )
    assert found.title == "Title"
    assert found.metadata.author == ("Ana Lima",)


NOTEBOOK = {
    "nbformat": 4,
    "metadata": {"kernelspec": {"language": "python"}, "title": "Study", "authors": [{"name": "Ana Lima"}]},
    "cells": [
        {"cell_type": "markdown", "source": ["# Study\n", "Text."]},
        {"cell_type": "code", "source": "1 + 1", "outputs": [{"data": {"text/plain": ["2"]}}]},
    ],
}


@pytest.mark.parametrize("name", ["a.ipynb", ""])
def test_a_notebook_keeps_text_code_and_output(name: str) -> None:
    found = read(json.dumps(NOTEBOOK), name)
    assert found.text == "# Study\nText.\n\n```python\n1 + 1\n```\n\n```\n2\n```"
    assert found.title == "Study"
    assert found.metadata.author == ("Ana Lima",)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            [{"name": "Ana", "age": 3}, {"name": "Bo|b", "age": None}],
            "| name | age |\n| --- | --- |\n| Ana | 3 |\n| Bo\\|b |  |",
        ),
        ({"a": {"b": [1, "x"], "c": [{"d": True}]}}, "- a:\n  - b: 1, x\n  - c:\n    - 1:\n      - d: true"),
    ],
)  # fmt: skip
def test_json_is_read(value: object, text: str) -> None:
    assert read(json.dumps(value), "a.json").text == text


def test_json_lines_are_read() -> None:
    assert read('{"a": 1}\n{"a": 2}\n', "a.jsonl").text == "| a |\n| --- |\n| 1 |\n| 2 |"


# ------------------------------------------------------------------------------------- kinds, failures, what is known

GOOD: dict[str, bytes] = {
    "html": page("<p>Leave is paid.").encode(), "pdf": pdf("Leave is paid in full."), "docx": docx("Leave"),
    "pptx": pptx(shape("Leave")), "xlsx": xlsx([["Leave"]]), "odt": odt("<text:p>Leave</text:p>"),
    "epub": epub("<p>Leave</p>"), "rtf": RTF, "image": png("Leave"), "json": b'{"a": 1}',
    "notebook": json.dumps(NOTEBOOK).encode(), "email": b"From: a@b.c\nTo: d@e.f\nSubject: x\n\nLeave",
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("name", ["", "wrong.dat"])
def test_the_kind_is_told_by_the_content(kind: str, name: str) -> None:
    assert sniff(Fetched(GOOD[kind], "", "application/octet-stream", name)) == kind


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("<html><body></body></html>", "a.html", "no text; if a script draws it"),
        (pdf("Leave is paid in full.")[:300], "a.pdf", "damaged|no text"),
        (docx("Leave")[:-30], "a.docx", "damaged or cut off"),
        (pptx(shape("")), "a.pptx", "no text"),
        (xlsx([]), "a.xlsx", "no text|damaged"),
        (archive({"mimetype": "application/vnd.oasis.opendocument.text"}), "a.odt", "no text"),
        (archive({"mimetype": "application/epub+zip"}), "a.epub", "damaged"),
        (b"{\\rtf1}", "a.rtf", "no text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__substg1.0_".encode("utf-16-le"), "a.msg", "damaged"),
        ("{", "a.json", r"JSON file is not valid: .* line 1 column 2"),
        ("[" * 100_000, "a.json", "nested too deeply|not valid"),
        ("{}", "a.ipynb", "notebook file is not valid: it has no cells"),
        (b"\x89PNG\r\n\x1a\n", "a.png", "OCR is not installed"),
    ],
)  # fmt: skip
def test_what_is_broken_says_what_to_do(content: bytes | str, name: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(content, name)


AT_TEN = DAY.replace(hour=10)
HEAD = (
    '<html lang="en"><head><title>Leave policy</title><meta name="author" content="Ana Lima">'
    '<meta property="article:modified_time" content="2024-03-05T10:00:00Z"></head>'
    "<body><p>Leave is paid.</p></body></html>"
)
META = "<dc:title>Leave policy</dc:title><dc:creator>Ana Lima</dc:creator><dc:date>2024-03-05T10:00:00</dc:date>"
SAID = line("Leave is paid in full.", 72, 700)
INFO = "<< /Title (Leave policy) /Author (Ana Lima) /ModDate (D:20240305120000+02'00') >>"
FRONT = b"---\ntitle: Leave policy\nauthor: Ana Lima\ndate: 2024-03-05\n---\nPaid."
MAIL = (
    b"From: Ana Lima <a@b.c>\nTo: d@e.f\nDate: Tue, 05 Mar 2024 10:00:00 +0000\nSubject: Leave policy\n\nLeave is paid."
)
KNOWN: list[tuple[str, bytes, str, tuple[str, ...], datetime | None]] = [
    ("html", HEAD.encode(), "Leave policy", ("Ana Lima",), DAY),
    ("docx", docx("Leave", parts={"docProps/core.xml": CORE}), "Staff handbook", ("Ana Lima",), AT_TEN),
    ("pptx", pptx(shape("Leave"), parts={"docProps/core.xml": CORE}), "Staff handbook", ("Ana Lima",), AT_TEN),
    ("xlsx", xlsx([["Leave"]]), "Staff handbook", ("Ana Lima",), AT_TEN),
    ("odt", odt("<text:p>Leave</text:p>", META), "Leave policy", ("Ana Lima",), AT_TEN),
    ("epub", epub("<p>Leave</p>"), "Handbook", ("Ana Lima",), DAY),
    ("rtf", RTF, "Leave policy", ("Ana Lima",), None),
    ("pdf", drawn(SAID, trailer="/Info 7 0 R", more=(INFO,)), "Leave policy", ("Ana Lima",), AT_TEN),
    ("email", MAIL, "Leave policy", ("Ana Lima",), AT_TEN),
    ("notebook", json.dumps(NOTEBOOK).encode(), "Study", ("Ana Lima",), None),
    ("rst", RST.encode(), "Title", ("Ana Lima",), None),
    ("markdown", FRONT, "Leave policy", ("Ana Lima",), DAY),
]  # fmt: skip
NAMES = {"rst": "a.rst", "markdown": "a.md"}


@pytest.mark.parametrize(("kind", "content", "title", "author", "day"), KNOWN, ids=[one[0] for one in KNOWN])
def test_title_author_and_date_are_found_and_what_a_person_states_wins(
    kind: str, content: bytes, title: str, author: tuple[str, ...], day: datetime | None
) -> None:
    fetched = Fetched(content, "https://www.acme.example/leave", "", NAMES.get(kind, ""))
    found = extract(fetched)
    assert (found.title, found.metadata.author, found.metadata.published_at) == (title, author, day)
    assert found.metadata.doc_type == kind
    stated = Metadata(
        author=("Bo",), doc_type="policy", language="de", source="hr", published_at=DAY.replace(year=2020)
    )
    plain = describe(_document(Metadata(), ""), fetched, found)
    told = describe(_document(stated, "Mine"), fetched, found)
    assert (plain.title, plain.metadata.author, plain.metadata.source) == (title, author, "acme.example")
    assert (told.title, told.metadata.author, told.metadata.doc_type) == ("Mine", ("Bo",), "policy")
    assert (told.metadata.language, told.metadata.source, told.metadata.published_at) == (
        "de",
        "hr",
        stated.published_at,
    )


def _document(stated: Metadata, title: str) -> Document:
    origin, url = Origin(url="https://www.acme.example/leave"), "https://www.acme.example/leave"
    return Document(
        "T1", "d1", origin, "", url, Visibility("team"), "processing", DAY, DAY, stated=stated, stated_title=title
    )
