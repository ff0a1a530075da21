"""What is stored of what people write, where some of it is to be blotted out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backend.domain import Audience, Feedback, Query, Question, Run, RunMetadata, Turn
from backend.pii import Blotter
from backend.settings import Settings, SettingsError, load_settings
from backend.storing import BlottedFeedbacks, BlottedRuns
from tests.fakes.state import FakeFeedbacks, FakeRuns

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MAIL = "Is ana@firm.example on leave?"
ASKED = Question(MAIL, "T1", Audience(user="U1"), history=(Turn("user", "Call +49 30 901820."),))
RUN = Run(
    run_id="r",
    question=ASKED,
    outcome="answered",
    query=Query(MAIL, "T1", ASKED.audience),
    passages=(),
    answer="Write to help@firm.example. [1]",
    citations=(),
    metadata=RunMetadata(),
    created_at=NOW,
)


async def test_what_is_stored_is_blotted_and_what_documents_say_is_not() -> None:
    kept = FakeRuns()
    blot = Blotter(("email", "phone")).blot
    runs = BlottedRuns(kept, blot)
    await runs.put(RUN)
    await runs.put(replace(RUN, run_id="s", outcome="abstained", answer=f"Nothing is said of this: {MAIL}"))
    for run_id in ("r", "s"):
        stored = str(await kept.get(run_id))
        assert "ana@" not in stored
        assert "901820" not in stored
        assert ("help@firm.example" in stored) is (run_id == "r")
    feedbacks = FakeFeedbacks(kept)
    await BlottedFeedbacks(feedbacks, blot).put(Feedback("r", "U2", 1, "button", "Ask ana@firm.example", NOW))
    assert "Ask [email]" in str(await kept.get("r"))


def test_kinds_and_countries_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.model_validate({"redact": "all"}).redact == ("email", "phone", "iban", "card", "ip")
    assert Settings.model_validate({"redact": "email,iban", "redact_regions": "DE,US"}).redact_regions == ("DE", "US")
    monkeypatch.setenv("FOOTNOTE_REDACT", "names")
    with pytest.raises(SettingsError, match="FOOTNOTE_REDACT"):
        load_settings()
