"""How a document is shown in `/docs`."""

from __future__ import annotations

import msgspec
import pytest

from bot.blocks import document_line
from tests.fakes.backend_server import document

READY = msgspec.structs.replace(document("d", title="Leave", url="https://d.example/"), status="ready")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "3 chunks"),
        ({"checked_at": "2026-11-20T00:00:00Z"}, "checked 2026-11-20"),
        ({"checked_at": "2026-11-20T00:00:00Z", "refresh_days": 7}, "checked 2026-11-20, every 7 days"),
        ({"checked_at": "2026-11-20T00:00:00Z", "refresh_days": 1}, "every day"),
        ({"same_as": "e", "same_as_title": "Leave <2025>"}, "the same as “Leave &lt;2025&gt;”"),
        ({"similar_to": "e", "similar_to_title": "Old leave"}, "nearly the same as “Old leave”"),
        ({"similar_to": "e"}, "nearly the same as “e”"),
        ({"notices": ("2 images skipped", "1 sentence speaks to an AI")}, "· 2 images skipped · 1 sentence speaks"),
    ],
)
def test_a_line_says_what_is_known_of_a_document(changes: dict[str, object], shown: str) -> None:
    assert shown in document_line(msgspec.structs.replace(READY, **changes))


def test_what_points_elsewhere_has_no_chunks_to_count() -> None:
    assert "chunk" not in document_line(msgspec.structs.replace(READY, same_as="e", chunks=0))
