from dataclasses import replace
from datetime import UTC, datetime

from backend.adapters.extractive import choose
from backend.domain import Evidence, QueryVectors
from backend.query.conflicts import Statement, find_conflicts, lead_in, touched
from backend.query.verify import Support
from tests.fakes.story import evidence_of, vector_of

OLD = "Employees work two days per week from the office."
NEW = "Employees work three days per week from the office."
OTHER = "Lunch is served at noon for all employees. The office closes after ten hours."


def _dated(*texts: str, years: tuple[int, ...]) -> tuple[Evidence, ...]:
    return tuple(
        replace(
            one, passage=replace(one.passage, title=f"Policy {year}", published_at=datetime(year, 5, 1, tzinfo=UTC))
        )
        for one, year in zip(evidence_of(*texts), years, strict=True)
    )


EVIDENCE = _dated(OLD, NEW, OTHER, years=(2022, 2023, 2024))


def test_another_number_for_the_same_thing_is_a_conflict_with_the_newer_first() -> None:
    (conflict,) = find_conflicts(EVIDENCE)
    assert (conflict.newer, conflict.older) == (Statement(1, 0), Statement(0, 0))


def test_the_same_number_or_another_matter_is_no_conflict() -> None:
    assert find_conflicts(_dated(OLD, OLD, OTHER, years=(2022, 2023, 2024))) == ()
    assert (
        find_conflicts(evidence_of("A tour takes two hours.", "The budget review takes nine hours of hard work.")) == ()
    )


def test_one_document_does_not_disagree_with_itself() -> None:
    assert find_conflicts(evidence_of(f"{OLD} {NEW}")) == ()


def test_the_answer_by_quoting_shows_both_sides_the_newer_first() -> None:
    vector = vector_of("How many days per week do employees work two from the office?")
    picks = choose("How many days per week from the office?", QueryVectors(vector, vector), EVIDENCE)
    assert [pick.evidence.passage.title for pick in picks[:2]] == ["Policy 2023", "Policy 2022"]


def test_a_conflict_is_introduced_with_titles_and_dates_where_a_side_is_quoted() -> None:
    conflicts = find_conflicts(EVIDENCE)
    assert touched(conflicts, EVIDENCE, (Support(3, (0, 10), 1.0),)) is None
    conflict = touched(conflicts, EVIDENCE, (Support(1, (5, 10), 1.0),))
    assert conflict is not None
    assert lead_in(conflict, EVIDENCE) == (
        "The documents disagree here: “Policy 2023” (1 May 2023) and “Policy 2022” (1 May 2022)."
    )
