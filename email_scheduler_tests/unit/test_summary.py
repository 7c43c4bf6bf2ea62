"""What an operator is shown of a plan."""

from datetime import date

import pandas as pd
import pytest
from rich.console import Console, RenderableType

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.campaign_changes import CHANGE_EFFECTS
from email_scheduler.planning.cube import PlanCounts, emails_by_day
from email_scheduler.planning.frames import CAPACITY_SHORTFALL, CONTACTS, EMAIL_SCHEDULES
from email_scheduler.planning.plan import make_plan
from email_scheduler.reports import summary
from email_scheduler_tests.builders import contact, day_number, inputs, table

MONDAY = day_number("2026-11-23")


def _lines(renderable: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return [line.rstrip() for line in capture.get().splitlines()]


def _words(renderable: RenderableType) -> list[list[str]]:
    return [line.split() for line in _lines(renderable)]


def _row(email_type: str, day: int = MONDAY, reason: str | None = None, number: int = 1) -> dict[str, object]:
    return {
        "contact_id": number,
        "email_type": email_type,
        "scheduled_send_date": day,
        "status": "skipped" if reason else "pre-scheduled",
        "skip_reason": reason,
    }


def _schedules(*rows: dict[str, object]) -> PlanCounts:
    return PlanCounts.of(table(EMAIL_SCHEDULES, rows), CONTACTS.empty(), date(2026, 11, 23))


def test_contacts_are_counted_by_what_makes_them_invalid_and_by_what_was_noted() -> None:
    issues = pd.DataFrame({"issue": ["state_mismatch", "suppressed", "missing_email", "suppressed"]})
    rows = _words(summary.contacts_table(1_203, 1_200, issues.astype("category")))
    assert [row for row in rows if row and row[-1].replace(",", "").isdigit()] == [
        ["valid", "1,200"],
        ["not", "valid", "3"],
        ["missing", "email", "1"],
        ["suppressed", "2"],
        ["noted:", "state", "mismatch", "1"],
    ]


def test_rows_are_counted_by_type_and_status_with_a_total() -> None:
    schedules = _schedules(
        _row("aep"), _row("birthday", reason="no_send_day"), _row("aep", reason="no_send_day")
    )
    rows = _words(summary.email_types_table(schedules.rows))
    assert ["aep", "1", "1"] in rows
    assert ["birthday", "0", "1"] in rows
    assert ["all", "1", "2"] in rows


def test_types_without_a_row_are_not_shown() -> None:
    schedules = _schedules(_row("aep"), _row("birthday"))
    assert "birthday" not in str(_words(summary.email_types_table(schedules.rows.where(email_type="aep"))))


def test_skip_reasons_are_shown_from_the_most_frequent_on() -> None:
    reasons = ["event_passed", "no_send_day", "no_send_day"]
    rows = _words(
        summary.skip_reasons_table(_schedules(_row("aep"), *(_row("aep", reason=r) for r in reasons)).rows)
    )
    assert rows.index(["no_send_day", "2"]) < rows.index(["event_passed", "1"])


def test_rare_skip_reasons_are_summed_up() -> None:
    schedules = _schedules(*(_row("aep", reason=f"reason {number}") for number in range(25)))
    assert ["5", "other", "reasons", "5"] in _words(summary.skip_reasons_table(schedules.rows))


def test_nothing_skipped_is_said() -> None:
    assert ["nothing", "is", "skipped", "0"] in _words(
        summary.skip_reasons_table(_schedules(_row("aep")).rows)
    )


def test_the_volume_of_a_day_holds_planned_emails_and_those_that_cannot_be_moved_once_each() -> None:
    schedules = _schedules(
        _row("aep"),
        _row("followup_1_cold"),
        _row("aep", reason="no_send_day"),
        _row("birthday", MONDAY + 2),
        _row("birthday", MONDAY + 3),
    )
    # one follow-up and two emails that were sent already
    fixed = pd.Series([3, 7], index=[MONDAY, MONDAY - 1])
    assert emails_by_day(schedules, fixed, 3, date(2026, 11, 23)) == [4, 0, 1]


def _bars(volume: list[int], cap: int, limit: int, width: int = 80) -> list[str]:
    shown = [*volume, *[0] * (summary.SHOWN_DAYS - len(volume))]
    bars = summary.volume_bars(shown, date(2026, 11, 23), cap, limit)
    return _lines(bars, width)


def test_a_bar_a_day_is_drawn_against_the_cap() -> None:
    lines = _bars([10, 0, 12, 5], cap=10, limit=12, width=50)
    assert "daily cap of 10" in " ".join(lines)
    days = lines[-summary.SHOWN_DAYS :]
    assert [line.split()[:3] for line in days[:3]] == [
        ["Mon", "2026-11-23", "10"],
        ["Tue", "2026-11-24", "0"],
        ["Wed", "2026-11-25", "12"],
    ]
    cap_at = {line.index("│") for line in days}
    assert len(cap_at) == 1
    full, none, over, half = (line.count("█") for line in days[:4])
    assert none == 0
    assert full > 1.8 * half
    assert days[0].endswith("█│")
    assert days[2].endswith("█")
    assert over > full


def test_a_day_with_few_emails_still_shows_a_bar() -> None:
    assert "█" in _bars([1], cap=1_000, limit=1_200)[-summary.SHOWN_DAYS]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_bars_fit_the_terminal(width: int) -> None:
    assert max(map(len, _bars([300], cap=10, limit=12, width=width))) <= width


def test_bars_can_be_drawn_where_there_is_only_ascii() -> None:
    plain = summary._VolumeBars(MONDAY, [2, 1], daily_cap=2, daily_limit=2)
    console = Console(width=60)
    options = console.options.update()
    options.encoding = "ascii"
    text = "\n".join(str(line) for line in plain.__rich_console__(console, options))
    assert text.isascii()
    assert "#|" in text


def test_a_run_that_changed_nothing_says_so() -> None:
    changes = {"added": 0, "changed": 0, "removed": 0, "unchanged": 1_234}
    assert _lines(summary.change_line(changes)) == ["Nothing changed. 1,234 rows stay."]
    assert _lines(summary.change_line(changes, is_dry_run=True)) == ["Nothing would change: 1,234 rows stay."]


@pytest.mark.parametrize("name", ["added", "changed", "removed"])
def test_a_run_that_changed_something_says_what(name: str) -> None:
    changes = {"added": 0, "changed": 0, "removed": 0, "unchanged": 5, name: 7}
    (line,) = _lines(summary.change_line(changes))
    assert f"7 {name}" in line
    assert summary.NOTHING_CHANGED not in line


def test_changes_are_shown_by_type() -> None:
    rows = _words(summary.changes_table({"aep": {"added": 3, "removed": 1_000}}))
    assert ["aep", "3", "0", "1,000"] in rows


def _effects(*rows: tuple[int, int, str, str, int, int, int, int]) -> pd.DataFrame:
    columns = dict(zip(CHANGE_EFFECTS.columns, zip(*rows, strict=True), strict=True))
    frame = pd.DataFrame(columns).astype({"campaign_type": "category", "field_changed": "category"})
    numbers = ["contacts", "added", "changed", "removed"]
    return CHANGE_EFFECTS.check(frame.astype(dict.fromkeys(numbers, "int32")))


def test_what_changes_of_campaigns_led_to_is_shown_by_change() -> None:
    effects = _effects((7, 3, "promo", "targets", 12, 9, 2, 1), (8, 0, "promo", "priority", 0, 0, 0, 0))
    words = _words(summary.effects_table(effects))
    assert ["promo", "(3)", "targets", "12", "9", "2", "1"] in words
    assert ["promo", "priority", "0", "0", "0", "0"] in words


def test_of_very_many_changes_the_first_ones_are_shown_and_the_rest_counted() -> None:
    rows = [(number, 3, "promo", "targets", 1, 1, 0, 0) for number in range(1, 26)]
    words = _words(summary.effects_table(_effects(*rows)))
    assert sum(line[:1] == ["promo"] for line in words) == 20
    assert ["5", "more", "changes"] in words


def test_a_capacity_warning_says_how_many_which_days_and_what_would_help() -> None:
    shortfall = table(
        CAPACITY_SHORTFALL,
        [
            {
                "email_type": "aep",
                "emails": 1_200,
                "first_date": day_number("2027-09-15"),
                "last_date": day_number("2027-10-14"),
                "sufficient_cap": 150,
                "sufficient_percentage_cap": "0.079",
            }
        ],
    )
    (warning,) = summary.capacity_warnings(shortfall, 133)
    for part in (
        "1,200",
        "aep",
        "2027-09-15",
        "2027-10-14",
        "133",
        "150",
        "daily_send_percentage_cap: 0.079",
    ):
        assert part in warning


def test_the_summary_of_a_plan_shows_all_of_it_and_nobodys_data() -> None:
    people = [contact(1, "75001", "1950-03-10"), contact(2, "90210", "1950-03-10"), contact(3, email=None)]
    plan = make_plan(inputs("2026-11-23", contacts=people), SchedulerConfig())
    changes = {"added": 5, "changed": 0, "removed": 0, "unchanged": 0}
    text = "\n".join(_lines(summary.plan_summary(plan, changes, ["look here"])))
    for part in (
        "Plan for Monday, 2026-11-23",
        "missing email",
        "post_window",
        "Birthday exclusion window in CA",
        "The next 14 days",
        "5 added",
        "Warning: look here",
    ):
        assert part in text
    for secret in ("1950", "example.com", "75001"):
        assert secret not in text
