"""Small documents of many formats, written here byte by byte."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import closing

import pypdfium2

from backend.ingest.extract_pdf import rendered


def assembled(objects: list[bytes], trailer: str = "") -> bytes:
    """Write a PDF of these objects, the first of which is its catalogue."""
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    start, size = len(out), len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\n"
    return out + (end + f"startxref\n{start}\n%%EOF\n").encode("latin-1")


def drawn(*streams: str, trailer: str = "", more: tuple[str, ...] = ()) -> bytes:
    """Write a PDF with a page for each stream of drawing; /F1 is Helvetica, /F2 its bold. Objects of `more` follow."""
    kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(streams)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(streams)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
    ]
    for i, stream in enumerate(streams):
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Contents {6 + 2 * i} 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    return assembled([body.encode("latin-1") for body in (*objects, *more)], trailer)


def line(text: str, left: float, bottom: float, size: float = 12, *, bold: bool = False) -> str:
    """Draw a line of text at this place, in points from the lower left corner."""
    return f"BT /F{2 if bold else 1} {size} Tf {left} {bottom} Td ({text}) Tj ET\n"


def pdf(*pages: str, trailer: str = "") -> bytes:
    """Write a PDF with a line of text on each page."""
    return drawn(*(line(text, 72, 720) if text else "" for text in pages), trailer=trailer)


# -------------------------------------------------------------------------------------------------------------- Office

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
NAMES = f'xmlns:w="{WORD}" xmlns:p="{SLIDES}" xmlns:a="{DRAWING}" xmlns:c="{CHART}" xmlns:m="{MATH}" xmlns:r="{OFFICE}"'
CORE = (
    f'<cp:coreProperties xmlns:cp="{PACKAGE}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:dcterms="http://purl.org/dc/terms/"><dc:title>Staff handbook</dc:title><dc:creator>Ana Lima</dc:creator>'
    "<cp:keywords>hr, leave</cp:keywords><dc:language>en-GB</dc:language>"
    "<dcterms:created>2023-01-02T03:04:05Z</dcterms:created><dcterms:modified>2024-03-05T10:00:00Z</dcterms:modified>"
    "</cp:coreProperties>"
)
_MAIN = "application/vnd.openxmlformats-officedocument"


def archive(members: dict[str, str]) -> bytes:
    """Write a zip of texts by their paths."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in members.items():
            opened.writestr(name, text)
    return buffer.getvalue()


def relations(**targets: str) -> str:
    """Write relations by their ids, each `type target`."""
    listed = (
        f'<Relationship Id="{name}" Type="{OFFICE}/{one.split()[0]}" Target="{one.split()[1]}"/>'
        for name, one in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{"".join(listed)}</Relationships>'


def package(main: str, kind: str, parts: dict[str, str]) -> bytes:
    """Write an Office package with its main part, such as `word/document.xml`, of a kind that its type names."""
    types = (
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/><Default '
        'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/{main}" ContentType="{_MAIN}.{kind}.main+xml"/></Types>'
    )
    rels = {"[Content_Types].xml": types, "_rels/.rels": relations(r1=f"officeDocument {main}")}
    return archive(rels | parts)


def paragraph(text: str, *, style: str = "", numbered: int | None = None) -> str:
    """Write a paragraph of Word; `numbered` is its level in list 1."""
    number = f'<w:numPr><w:ilvl w:val="{numbered}"/><w:numId w:val="1"/></w:numPr>' if numbered is not None else ""
    styled = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{styled}{number}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(*paragraphs: str, body: str = "", parts: dict[str, str] | None = None) -> bytes:
    """Write a Word document of paragraphs, or of any body; other parts by their paths."""
    inner = body or "".join(map(paragraph, paragraphs))
    document = f"<w:document {NAMES}><w:body>{inner}</w:body></w:document>"
    return package("word/document.xml", "wordprocessingml.document", {"word/document.xml": document} | (parts or {}))


def pptx(*slides: str, parts: dict[str, str] | None = None) -> bytes:
    """Write a presentation of slides, each given by its shapes."""
    ids = "".join(f'<p:sldId id="{256 + i}" r:id="s{i}"/>' for i in range(len(slides)))
    listed = {f"s{i}": f"slide slides/slide{i}.xml" for i in range(len(slides))}
    found = {
        "ppt/presentation.xml": f"<p:presentation {NAMES}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(**listed),
    }
    for i, shapes in enumerate(slides):
        tree = f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld>"
        found[f"ppt/slides/slide{i}.xml"] = f"<p:sld {NAMES}>{tree}</p:sld>"
    return package("ppt/presentation.xml", "presentationml.presentation", found | (parts or {}))


def shape(*lines: str, kind: str = "", top: int = 0) -> str:
    """Write a shape of text; `kind` is of its placeholder; a line's level is the spaces before it."""
    place = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    at = f'<p:spPr><a:xfrm><a:off x="0" y="{top}"/></a:xfrm></p:spPr>' if top else ""
    text = "".join(
        f'<a:p><a:pPr lvl="{len(one) - len(one.lstrip())}"/><a:r><a:t>{one.strip()}</a:t></a:r></a:p>' for one in lines
    )
    return f"<p:sp>{place}{at}<p:txBody>{text}</p:txBody></p:sp>"


def xlsx(rows: list[list[str | float]]) -> bytes:
    """Write a workbook of one sheet called Prices."""
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    return package(
        "xl/workbook.xml",
        "spreadsheetml.sheet",
        {
            "xl/workbook.xml": f'<workbook xmlns="{SHEETS}" xmlns:r="{OFFICE}"><sheets>'
            '<sheet name="Prices" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(r1="worksheet worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{SHEETS}"><sheetData>{cells}</sheetData></worksheet>',
            "docProps/core.xml": CORE,
        },
    )


def _cell(value: str | float) -> str:
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if isinstance(value, str) else f"<c><v>{value}</v></c>"


def odt(body: str, meta: str = "") -> bytes:
    """Write an OpenDocument text of these elements."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "table", "meta")
    )
    spaces += ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
    content = f"<office:body><office:text>{body}</office:text></office:body>"
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {spaces}>{content}</office:document-content>",
            "meta.xml": f"<office:document-meta {spaces}><office:meta>{meta}</office:meta></office:document-meta>",
        }
    )


def epub(*chapters: str) -> bytes:
    """Write an e-book called Handbook by Ana Lima of chapters, each given by the body of its page."""
    items = "".join(
        f'<item id="c{i}" href="c{i}.xhtml" media-type="application/xhtml+xml"/>' for i in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "c.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Handbook</dc:title><dc:creator>Ana Lima</dc:creator>'
            "<dc:language>en</dc:language><dc:date>2024-03-05</dc:date></metadata>"
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
        }
        | {
            f"c{i}.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{body}</body></html>'
            for i, body in enumerate(chapters)
        }
    )


# ------------------------------------------------------------------------------------------------------------- pictures


def scan(text: str) -> bytes:
    """Write a PDF whose one page is a picture of a line of text."""
    with closing(pypdfium2.PdfDocument(pdf(text))) as document, closing(document[0]) as page:
        head, _, pixels = rendered(page).partition(b"\n")
    width, height = head.split()[1:3]
    packed, content = zlib.compress(pixels), b"q 612 0 0 792 0 0 cm /I Do Q"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /XObject << /I 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
        b"<< /Type /XObject /Subtype /Image /Width %b /Height %b /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream" % (width, height, len(packed), packed),
    ]
    return assembled(objects)


def png(text: str) -> bytes:
    """Draw a line of text."""
    with closing(pypdfium2.PdfDocument(pdf(text))) as document, closing(document[0]) as page:
        head, _, pixels = rendered(page).partition(b"\n")
    width, height = map(int, head.split()[1:3])
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
