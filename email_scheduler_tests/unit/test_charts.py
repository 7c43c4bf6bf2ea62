"""Charts of unusual plans: nothing planned, more types than colours, a cap far above the volume."""

import struct
from dataclasses import replace
from datetime import date

from email_scheduler.planning.data_notes import DataNotes
from email_scheduler.planning.plan_figures import FiguresOfPlan
from email_scheduler.reports.charts import calendar_pictures

DAY = date(2028, 2, 29)


def figures_with(**shown: object) -> FiguresOfPlan:
    """Return the figures of which a report shows this, and of the rest that there is nothing."""
    nothing: dict[str, object] = {
        "daily_cap": 1,
        "daily_limit": 1,
        "rows_looked_at": 0,
        "taken": [],
        "closed": [],
    }
    nothing |= {"campaigns": []}
    nothing |= {name: {} for name in ("planned", "volume", "by_state", "adjusted", "issues", "violations")}
    found = FiguresOfPlan.of_document(nothing | shown)
    assert found is not None
    return found


NOTHING = figures_with()


def widths(figures: FiguresOfPlan) -> set[int]:
    """Return how wide the pictures are, in pixels."""
    pictures = [each.png for each in calendar_pictures(figures, DAY)]
    assert all(png.startswith(b"\x89PNG\r\n") for png in pictures)
    return {struct.unpack(">I", png[16:20])[0] for png in pictures}


def test_a_plan_without_emails_has_charts_that_say_so() -> None:
    assert widths(NOTHING) == {1100}
    texts = [each.text for each in calendar_pictures(NOTHING, DAY)]
    assert texts[0].startswith("0 emails in the year from 2028-02-29 on")
    assert texts[2].endswith("days without any: 366 of 366")
    assert texts[3] == "No email is skipped"


def test_charts_have_room_for_many_types_states_and_a_distant_cap() -> None:
    figures = figures_with(
        daily_cap=210_000,
        daily_limit=252_000,
        volume={f"campaign_{'x' * 20}_{number}": [number, 0, 7] for number in range(1, 15)},
        taken=[5],
        closed=[3, 4],
        by_state={f"S{number}": {"event_passed": number, "no_send_day": 1} for number in range(60)},
    )
    assert widths(figures) == {1100}
    first = calendar_pictures(figures, DAY)
    # what is asked for again is not drawn again
    assert calendar_pictures(figures, DAY) is first
    assert calendar_pictures(replace(figures, notes=DataNotes(())), DAY) is first
    assert first[1].text == (
        "208 emails in the 30 days from 2028-02-29 on, by day and type; 110 on the first day,"
        " 110 on the fullest one"
    )
