"""Questions as people write them, over a catalogue whose values look like ordinary words."""

from datetime import UTC, datetime

import pytest

from backend.domain import Catalogue
from backend.query.conditions import read_conditions
from backend.query.filters import describe

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CATALOGUE = Catalogue(
    {
        "author": {
            "Zoë Kravchenko": 4, "Miguel Ángel Torres": 3, "Elizabeth Warner": 5, "Chen Wei": 2,
            "Priya Raghunathan": 6, "John Smith": 2, "Jane Smith": 1, "Guido van Rossum": 9, "Will May": 2,
            "Mark Page": 1, "Jean-Luc Moreau": 2, "Søren Holm": 1,
        },
        "source": {"Google Drive": 5, "Jira": 8, "Notion": 3, "GitHub": 7, "Teams": 2, "SharePoint": 3},
        "tags": {"onboarding": 3, "finance": 4, "incident": 6, "travel": 2, "gpu": 1},
        "status": {"open": 3, "in review": 2, "closed": 5, "approved": 2},
        "doc_type": {"pdf": 2, "runbook": 4, "postmortem": 3, "policy": 3, "presentation": 1},
        "language": {"en": 9, "fr": 2, "de": 1},
        "company": {"Acme": 3, "Globex": 2, "Initech": 1},
        "priority": {1.0: 1, 2.0: 3},
        "region": {"EMEA": 2, "APAC": 1},
        "title": {"Travel Policy": 1},
    }
)  # fmt: skip


def _read(text: str) -> set[str]:
    return {describe(guess.filter) for guess in read_conditions(text, CATALOGUE, NOW)[0]}


@pytest.mark.parametrize(
    ("question", "filters"),
    [
        ("runbooks by Zoe Kravchenko", {"type runbook", "author Zoë Kravchenko"}),
        ("notes by Liz Warner on budgets", {"author Elizabeth Warner"}),
        ("docs by Beth Warner", {"author Elizabeth Warner"}),
        ("docs from Pryia Raghunathan", {"author Priya Raghunathan"}),
        ("anything by Priya about caching?", {"author Priya Raghunathan"}),
        ("G. van Rossum's proposals", {"author Guido van Rossum"}),
        ("posts by Miguel Torres", {"author Miguel Ángel Torres"}),
        ("What did J. Smith write about payroll?", {"author John Smith, Jane Smith"}),
        ("documents by Jean Luc Moreau", {"author Jean-Luc Moreau"}),
        ("papers by Soren Holm", {"author Søren Holm"}),
        ("reports by Priya Raghunathan, not by Chen Wei", {"author Priya Raghunathan", "not author Chen Wei"}),
        ("pages by Chen Wei but not tagged travel", {"author Chen Wei", "not tag travel"}),
        ("docs tagged finance but not travel", {"tag finance", "not tag travel"}),
        ("documents not from SharePoint", {"not source SharePoint"}),
        ("Jira tickets that are still open", {"source Jira", "status open"}),
        (
            "closed Jira tickets about login from Q2 2025",
            {"status closed", "source Jira", "1 Apr 2025 to 30 Jun 2025"},
        ),
        (
            "GitHub issues opened by Chen Wei last month",
            {"source GitHub", "author Chen Wei", "1 Oct 2026 to 31 Oct 2026"},
        ),
        ("Google Drive files from the past two weeks", {"source Google Drive", "since 6 Nov 2026"}),
        ("documents from 2024 or 2025", {"(in 2024) or (in 2025)"}),
        ("docs written after 1 March 2025 and before June 2025", {"since 2 Mar 2025", "before 1 Jun 2025"}),
        ("docs before 2020 and after 2015", {"before 1 Jan 2020", "since 1 Jan 2016"}),
        ("notes from 2023 and before", {"before 1 Jan 2024"}),
        ("pages published in the first half of 2025", {"1 Jan 2025 to 30 Jun 2025"}),
        ("posts from the 2010s", {"1 Jan 2010 to 31 Dec 2019"}),
        ("notes older than two years", {"before 20 Nov 2024"}),
        ("notes newer than 2 weeks", {"since 6 Nov 2026"}),
        ("notes from Monday", {"on 16 Nov 2026"}),
        ("Acme documents about renewals", {"company Acme"}),
        ("presentations from Acme", {"type presentation", "company Acme"}),
        ("runbooks for the EMEA region", {"type runbook", "region EMEA"}),
        ("tickets with priority 1", {"priority 1"}),
        ("documents in review by Jane Smith", {"status in review", "author Jane Smith"}),
    ],
)
def test_a_condition_is_read_however_it_is_put(question: str, filters: set[str]) -> None:
    assert _read(question) == filters


@pytest.mark.parametrize(
    "question",
    [
        "Will May be a good month for launch?",
        "Can you mark page 3 as done?",
        "Is the French office closed in August?",
        "Is the desk open from Monday to Friday?",
        "What is priority 1?",
        "Which region is fastest, EMEA or APAC?",
        "Which teams use GitHub?",
        "Does Acme pay on time?",
        "What is the notion of quality here?",
        "Who approved the budget for 2025?",
        "Is anyone here older than two years in the job?",
        "Is John Smith the head of finance?",
        "How do I share a Google Drive folder with Priya?",
    ],
)
def test_a_word_that_looks_like_a_value_is_left_alone(question: str) -> None:
    assert read_conditions(question, CATALOGUE, NOW) == ((), ())


@pytest.mark.parametrize(
    ("question", "true"),
    [
        ("Welche Dokumente von Chen Wei aus dem Jahr 2024 gibt es?", {"author Chen Wei", "in 2024"}),
        ("Dokumente von Priya seit März 2025", {"author Priya Raghunathan", "since 1 Mar 2025"}),
        ("Was kostet die Reise im Mai?", set()),
        ("Wie viele Urlaubstage hatte ich 2019?", set()),
        ("Was steht in der Richtlinie von 2023 nicht?", set()),
        (
            "Quels documents ont été écrits par Jean-Luc Moreau en 2023 ?",
            {"author Jean-Luc Moreau", "in 2023"},
        ),
        ("Documents non approuvés de 2024", {"in 2024", "not status approved"}),
        ("Quelle est la politique de voyage ?", set()),
        ("¿Qué documentos escribió Miguel Torres en 2022?", {"author Miguel Ángel Torres", "in 2022"}),
        ("documentos de Priya Raghunathan antes de 2024", {"author Priya Raghunathan", "before 1 Jan 2024"}),
        ("¿Cuántos días de vacaciones tengo en mayo?", set()),
    ],
)
def test_in_another_language_nothing_wrong_is_filtered(question: str, true: set[str]) -> None:
    assert _read(question) <= true
