"""What decided about an email: a window, a setting, a limit; and when the contact may get it after all."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from email_scheduler.config import BirthdayWindow, StateRules, Window
from email_scheduler.explain.explanation import Email, NextDate, Occurrence, Rule, WindowInterval
from email_scheduler.explain.facts import Facts, as_date
from email_scheduler.explain.stored_rows import PlanRow, StoredRow
from email_scheduler.planning import (
    ALLOWED,
    FOREVER,
    LAST_DAY,
    SEARCH_DAYS,
    Days,
    ExcludedInterval,
    Flags,
    busiest_period,
    to_day,
)
from email_scheduler.registry import (
    ADJUSTMENTS,
    ANNIVERSARY_TYPES,
    CAMPAIGN_CONFLICT,
    CAMPAIGN_PREFIX,
    DAILY_CAP_EXCEEDED,
    EXCLUSIONS,
    FOLLOW_UP_PREFIX,
    FREQUENCY_LIMIT_EXCEEDED,
    LIVE_STATUSES,
    POST_WINDOW,
    PRE_SCHEDULED,
    SKIP_REASONS,
    Exclusion,
)

# How far ahead is looked.
DAYS_AHEAD: Final = 366
_NEVER: Final = "None within a year: "


def window_intervals(facts: Facts, position: int, first: date, last: date) -> tuple[WindowInterval, ...]:
    """Return what excludes a contact between two days, inclusive; nothing is cut off at them."""
    found = facts.basis.windows.intervals(position, to_day(first), to_day(last))
    return tuple(_interval(each, facts.config.state_rules) for each in found)


def deciding_window(facts: Facts, position: int, day: date, reason: str) -> WindowInterval | None:
    """Return the interval that gives the reason of an excluded day; None: nothing says so any more."""
    found = window_intervals(facts, position, day, day)
    return next((each for each in found if each.reason == reason), None)


def _interval(found: ExcludedInterval, rules: StateRules) -> WindowInterval:
    exclusion = EXCLUSIONS[found.kind]
    return WindowInterval(
        reason=f"{found.kind} in {found.state}",
        first=None if found.first <= -FOREVER else as_date(found.first),
        last=None if found.last >= FOREVER else as_date(found.last),
        anchor_name=exclusion.anchor,
        anchor=None if found.anchor is None else as_date(found.anchor),
        rule=_rule(exclusion, found.state, found.window, rules),
    )


def _rule(exclusion: Exclusion, state: str, window: Window | None, rules: StateRules) -> Rule:
    setting = f"state_rules.{exclusion.setting}"
    if window is None:
        # without a window it is the rule about ages that wants to know the date
        by_age = exclusion.is_anchor_unknown
        source = rules.year_round_source(state) if exclusion.setting == "year_round_exclusion" else None
        return Rule("state_rules.age_76_plus_exclusion" if by_age else setting, f"lists {state}", source)
    if exclusion.is_anchor_unknown:
        value = "every day, since nobody knows when the window is"
    else:
        counted = "the first of the anniversary's month" if window.use_month_start else "the anniversary"
        offsets = f"{window.first_offset_days:+d} to {window.last_offset_days:+d}"
        value = f"{offsets} days from {counted}{_ages(window)}"
    return Rule(f"{setting}.{state}", value, window.source, window.valid_from, window.valid_to)


def _ages(window: Window) -> str:
    """Return what a birthday window says of ages."""
    if not isinstance(window, BirthdayWindow):
        return ""
    least = "" if window.min_age is None else f" from {window.min_age}"
    most = "" if window.max_age is None else f" to {window.max_age}"
    return f", on birthdays{least}{most}" if least or most else ""


def deciding_rule(facts: Facts, position: int, occurrence: Occurrence) -> Rule | None:
    """Return what decided that an email is skipped, or moved; None: nothing more than is said of it."""
    reason = occurrence.reason or ""
    if " in " in reason:
        return _window_rule(facts, position, occurrence, reason)
    word = ADJUSTMENTS.get(reason) or SKIP_REASONS.get(reason)
    # another program may have written any other word
    setting = None if word is None else word.setting
    instance = facts.basis.instances.get(occurrence.campaign_instance_id or 0)
    if setting is None or (setting.is_of_campaign and instance is None):
        return None
    calendar = facts.config.send_calendar
    closed = [*sorted(calendar.no_send_weekdays), *map(str, sorted(calendar.no_send_dates))]
    value = setting.value.format(
        config=facts.config,
        closed_days=", ".join(closed),
        instance=instance,
        ends=as_date(instance.end) if instance and instance.end < FOREVER else "none",
    )
    if instance and setting.is_of_campaign:
        return Rule(f"campaign instance {instance.id}: {setting.name}", value)
    return Rule(setting.name, value)


def _window_rule(facts: Facts, position: int, occurrence: Occurrence, reason: str) -> Rule | None:
    row = occurrence.plan_row.row if occurrence.plan_row else None
    is_follow_up = occurrence.email_type.startswith(FOLLOW_UP_PREFIX)
    ideal = occurrence.ideal_send_date
    days = [row.scheduled_send_date if row is not None and is_follow_up else ideal]
    if ideal is not None and not is_follow_up:
        # an email whose own day was allowed is stopped by the window that holds the day of the plan
        days.append(max(ideal, facts.inputs.as_of))
    for day in days:
        found = None if day is None or position < 0 else deciding_window(facts, position, day, reason)
        if found is not None:
            return found.rule
    return None


def needs_everybody(skip_reason: str) -> bool:
    """Tell whether only the plan of a whole organisation decides for this reason (sections 11 and 12)."""
    return skip_reason in SKIP_REASONS and SKIP_REASONS[skip_reason].needs_everybody


def counted_emails(
    facts: Facts, contact_id: int, occurrence: Occurrence, rows: Sequence[PlanRow]
) -> tuple[Email, ...]:
    """Return the contact's emails that count towards the limit that stops this one (sections 8 and 12)."""
    row = occurrence.plan_row.row if occurrence.plan_row else None
    if row is None or row.scheduled_send_date is None:
        return ()
    day, others = row.scheduled_send_date, [each for each in rows if each is not occurrence.plan_row]
    live = list(_live_emails(facts, contact_id))
    if occurrence.reason == FREQUENCY_LIMIT_EXCEEDED:
        period = facts.config.load_balancing.period_days
        both = [*live, *map(as_email, _accepted(others))]
        return _in_order(each for each in both if _is_near(each, day, period))
    if occurrence.reason == CAMPAIGN_CONFLICT:
        of_campaigns = [each for each in live if each.email_type.startswith(CAMPAIGN_PREFIX)]
        contending = [as_email(each) for each in others if _goes_first(each.row, row, each.status)]
        return _in_order([*(each for each in of_campaigns if each.send_date == day), *contending])
    return ()


def _goes_first(other: StoredRow, row: StoredRow, status: str | None) -> bool:
    """Tell whether a campaign email beats another one: for its ideal date (section 8), or its day (12)."""
    if not other.email_type.startswith(CAMPAIGN_PREFIX):
        return False
    if status == PRE_SCHEDULED and other.scheduled_send_date == row.scheduled_send_date:
        return True
    has_interval = other.skip_reason is None or needs_everybody(other.skip_reason)
    is_before = _merit(other) < _merit(row)
    return has_interval and is_before and other.ideal_send_date == row.ideal_send_date


def _merit(row: StoredRow) -> tuple[int, int, date]:
    return row.priority or 0, row.campaign_instance_id or 0, row.event_date or date.min


def may_be_next(
    facts: Facts,
    contact_id: int,
    occurrence: Occurrence,
    interval: dict[str, Any] | None,
    rows: Sequence[PlanRow],
) -> NextDate:
    """Return when the contact may get an email that is skipped, or the one that makes up for it."""
    if " in " in (occurrence.reason or ""):
        return _after_window(facts, contact_id, occurrence, rows)
    reason = SKIP_REASONS.get(occurrence.reason or "")
    if reason is None:
        return NextDate(None, "Nobody can say: it is not known what the reason means.")
    if interval is None or not reason.needs_everybody:
        return NextDate(None, _NEVER + reason.what_helps)
    return _within_interval(facts, contact_id, occurrence, interval, rows)


def first_allowed_day(facts: Facts, position: int, day: date, *, is_bound: bool = True) -> date | None:
    """Return the first open day from a day on that no window excludes; None: there is none within a year."""
    last = day + timedelta(days=min(DAYS_AHEAD, LAST_DAY - to_day(day)))
    days = _legal_days(facts, position, day, last, is_bound=is_bound)
    return as_date(int(days[0])) if len(days) else None


def as_email(plan_row: PlanRow) -> Email:
    """Return a row in short."""
    row = plan_row.row
    status = plan_row.taken_as or plan_row.status or row.status
    return Email(
        row.id,
        row.email_type,
        status,
        row.send_date if plan_row.taken_as else row.scheduled_send_date,
        row.event_date,
        row.initial_email_id,
        row.campaign_instance_id,
    )


def _after_window(facts: Facts, contact_id: int, occurrence: Occurrence, rows: Sequence[PlanRow]) -> NextDate:
    if occurrence.email_type not in ANNIVERSARY_TYPES or occurrence.email_type == POST_WINDOW:
        return NextDate(None, f"{_NEVER}nothing makes up for an email of this type.")
    position, ideal = facts.position(contact_id), occurrence.ideal_send_date
    if position < 0 or ideal is None:
        return NextDate(None, f"{_NEVER}the contact is not valid.")
    windows, where = facts.basis.windows, np.array([position])
    if windows.reasons(where, np.array([to_day(ideal)], np.int32))[0] == ALLOWED:
        return NextDate(None, f"{_NEVER}its own day was allowed, and no day is left for it.")
    last = to_day(ideal) + SEARCH_DAYS
    found = windows.first_allowed(where, np.array([to_day(ideal) + 1], np.int32), np.array([last], np.int32))
    if int(found[0]) > last:
        return NextDate(None, f"{_NEVER}no window ends within a year after its ideal date.")
    return _made_up_for(as_date(int(found[0])), rows)


def _made_up_for(first: date, rows: Sequence[PlanRow]) -> NextDate:
    """Return when the post-window email goes out that has this ideal date."""
    for each in rows:
        if each.row.email_type == POST_WINDOW and each.row.ideal_send_date == first:
            if each.status == PRE_SCHEDULED:
                day = each.row.scheduled_send_date
                return NextDate(day, f"The post-window email, row {each.row.id}, makes up for it.")
            return NextDate(None, f"{_NEVER}the post-window email, row {each.row.id}, is skipped, too.")
    return NextDate(
        None, f"{_NEVER}the window ended before {first}, and no post-window email is due any more."
    )


def _within_interval(
    facts: Facts,
    contact_id: int,
    occurrence: Occurrence,
    interval: dict[str, Any],
    rows: Sequence[PlanRow],
) -> NextDate:
    first = interval["first_date"] or max(interval["ideal_send_date"], facts.inputs.as_of)
    days = _legal_days(
        facts,
        facts.position(contact_id),
        first,
        interval["last_date"] or interval["deadline"],
        is_bound=bool(interval["is_window_bound"]),
    )
    meaning = "The email itself, on this day or a later one of its interval, if room comes up."
    if occurrence.reason != DAILY_CAP_EXCEEDED:
        others = [each for each in rows if each is not occurrence.plan_row]
        row = occurrence.plan_row.row if occurrence.plan_row else None
        if row is not None and row.scheduled_send_date is not None:
            # no earlier day had room for it
            days = days[days > to_day(row.scheduled_send_date)]
        days = days[_is_free(facts, contact_id, occurrence, days, others)]
        meaning = "The email itself: on this day no limit of the contact would stop it any more."
    if len(days) == 0:
        return NextDate(None, f"{_NEVER}no day up to its deadline is left on which it could go out.")
    return NextDate(as_date(int(days[0])), meaning)


def _is_free(
    facts: Facts, contact_id: int, occurrence: Occurrence, days: Days, others: Sequence[PlanRow]
) -> Flags:
    """Tell on which days no limit of the contact (section 12) stops an email."""
    emails = [*_live_emails(facts, contact_id), *map(as_email, _accepted(others))]
    is_free = np.ones(len(days), np.bool_)
    if occurrence.email_type.startswith(CAMPAIGN_PREFIX):
        of_campaigns = [each for each in emails if each.email_type.startswith(CAMPAIGN_PREFIX)]
        is_free = ~np.isin(days, [to_day(each.send_date) for each in of_campaigns if each.send_date])
    balancing = facts.config.load_balancing
    taken = [to_day(each.send_date) for each in emails if each.send_date is not None]
    others_of_day = np.tile(np.array(taken, np.int64), (len(days), 1))
    busiest = busiest_period(others_of_day, days.astype(np.int64), balancing.period_days)
    flags: Flags = is_free & (busiest <= balancing.max_emails_per_contact_per_period)
    return flags


def _legal_days(facts: Facts, position: int, first: date, last: date, *, is_bound: bool) -> Days:
    """Return the open days of a year from ``first`` to ``last`` that no window excludes for a bound email."""
    end = min(to_day(last), to_day(first) + DAYS_AHEAD)
    days = np.arange(to_day(first), end + 1, dtype=np.int32)
    is_legal = facts.basis.open_days.is_open(days)
    if is_bound and position >= 0:
        is_legal &= facts.basis.windows.reasons(np.full(len(days), position), days) == ALLOWED
    return days[is_legal]


def _accepted(rows: Sequence[PlanRow]) -> list[PlanRow]:
    """Return the rows of a plan that go out, without follow-ups, which do not count."""
    return [
        each
        for each in rows
        if each.status == PRE_SCHEDULED and not each.row.email_type.startswith(FOLLOW_UP_PREFIX)
    ]


def _live_emails(facts: Facts, contact_id: int) -> Iterator[Email]:
    """Yield what the sending system has taken of a contact, without follow-ups, which do not count."""
    for row in facts.history(contact_id):
        is_counted = row["status"] in LIVE_STATUSES and not row["email_type"].startswith(FOLLOW_UP_PREFIX)
        if is_counted and row["send_date"] is not None:
            yield Email(
                row["id"],
                row["email_type"],
                row["status"],
                row["send_date"],
                row["event_date"],
                row["initial_email_id"] or None,
                row["campaign_instance_id"] or None,
            )


def _is_near(email: Email, day: date, period: int) -> bool:
    return email.send_date is not None and abs((email.send_date - day).days) < period


def _in_order(emails: Iterable[Email]) -> tuple[Email, ...]:
    return tuple(sorted(emails, key=lambda each: (each.send_date or date.max, each.id)))
