"""What publishing a plan does to emails: added, moved, cancelled, by hand."""

import numpy as np

from email_scheduler.database.publishing.plan_changes import EmailChanges, PlanChanges
from email_scheduler.planning.frames import EMAIL_SCHEDULES
from email_scheduler.planning.matching import PLANNER_ROWS, compare, existing_rows
from email_scheduler_tests.builders import Row, table


def row(contact_id: int, email_type: str = "birthday", day: int = 20_000, **others: object) -> Row:
    """Return a row of a plan; one with a skip reason is skipped."""
    return {
        "contact_id": contact_id,
        "email_type": email_type,
        "event_date": 20_014,
        "ideal_send_date": 20_000,
        "scheduled_send_date": day,
        "status": "skipped" if "skip_reason" in others else "pre-scheduled",
        **others,
    }


def changes(before: list[Row], after: list[Row], dropped: tuple[int, ...] = ()) -> EmailChanges:
    """Publish one plan over another."""
    planned = table(EMAIL_SCHEDULES, after)
    there = existing_rows(
        table(PLANNER_ROWS, [{"id": number, **each} for number, each in enumerate(before, 1)])
    )
    difference = compare(planned, there)
    written = np.setdiff1d(np.concatenate([difference.added, difference.changed]), dropped)
    return PlanChanges.of(planned, there, difference, written=written, removed=difference.removed).emails


def test_each_email_counts_once_under_what_becomes_of_it() -> None:
    found = changes(
        [
            *(row(1), row(2), row(3, day=20_003), row(4), row(5), row(6, "aep")),
            *(row(7, skip_reason="event_passed"), row(8, skip_reason="event_passed"), row(9)),
        ],
        [
            row(1),
            row(2, day=20_002, adjustment="redistributed"),
            row(3),
            row(4, skip_reason="daily_cap_exceeded"),
            row(5, email_template="another"),
            row(7),
            row(8, skip_reason="no_send_day"),
            row(10, "aep"),
            row(11, "aep", skip_reason="no_send_day"),
        ],
    )
    assert found.document() == {
        "added": {"aep": {"new": 1}, "birthday": {"event_passed": 1}},
        "later": {"birthday": {"redistributed": 1}},
        "earlier": {"birthday": {"on its ideal date": 1}},
        "cancelled": {"aep": {"left the plan": 1}, "birthday": {"daily_cap_exceeded": 1, "left the plan": 1}},
    }
    assert found.totals == {"added": 2, "later": 1, "earlier": 1, "cancelled": 3}
    assert (found + found).totals == {"added": 4, "later": 2, "earlier": 2, "cancelled": 6}
    assert EmailChanges.of_document(found.document()) == found


def test_what_the_sending_system_took_meanwhile_is_no_change() -> None:
    before, after = [row(1)], [row(1, day=20_002), row(2)]
    assert changes(before, after, dropped=(0, 1)) == EmailChanges.none()
