"""On which days nothing may go out (section 5 of the planning rules, and ``send_calendar``).

Exclusion windows, in which the law or the agency forbids marketing to a contact, and the days on which an
agency does not send at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import BirthdayWindow, SendCalendar, StateRules, Window
from email_scheduler.planning.columns import Anchors, Days, Flags, to_day, years_of
from email_scheduler.planning.rules.contacts import STATES
from email_scheduler.registry import EXCLUSIONS

Rows = npt.NDArray[np.int64]
ReasonCodes = npt.NDArray[np.int16]
FOREVER: Final = 1 << 29
AGE_LIMIT: Final = 76
_ANY_AGE: Final = 1 << 15
ALLOWED: Final = 0
# How far after an ideal date the end of a window is looked for (section 7).
SEARCH_DAYS: Final = 366
EXCLUSION_KINDS: Final = tuple(EXCLUSIONS)
_YEAR_ROUND, _BIRTHDAY, _BIRTH_UNKNOWN, _EFFECTIVE, _EFFECTIVE_UNKNOWN, _AGE = range(len(EXCLUSION_KINDS))
# The label of each reason code; code 0 is an allowed day.
EXCLUSION_REASONS: Final = tuple(f"{kind} in {state}" for kind in EXCLUSION_KINDS for state in STATES)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class _Rule:
    """One rule for the contacts of some states; parameters are looked up by state code.

    Attributes:
        kind: Position in the kinds of reasons.
        windows: By state: the window as the configuration has it; None where the rule has no length.
        applies: By state code: whether the state has the rule.
        first_offset, last_offset: The window around an anniversary, days, both inclusive.
        is_month_start: Whether the window is counted from the first of the anniversary's month.
        valid_from, valid_to: The days between which the rule is law, both inclusive.
        min_age, max_age: The age of the contacts on the anniversaries that have the window, both inclusive.
    """

    kind: int
    windows: dict[str, Window | None]
    applies: Flags
    first_offset: Days
    last_offset: Days
    is_month_start: Flags
    valid_from: Days
    valid_to: Days
    min_age: Days
    max_age: Days

    @classmethod
    def of(cls, kind: int, windows: dict[str, Window | None]) -> "_Rule":
        count = len(STATES)
        offsets, valid = np.zeros((2, count), np.int32), np.zeros((2, count), np.int32)
        applies, is_month_start = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        valid[0], valid[1] = -FOREVER, FOREVER
        ages = np.zeros((2, count), np.int32)
        ages[1] = _ANY_AGE
        for state, window in windows.items():
            code = STATES.index(state)
            applies[code] = True
            if window is not None:
                offsets[:, code] = window.first_offset_days, window.last_offset_days
                is_month_start[code] = window.use_month_start
                valid[0, code] = -FOREVER if window.valid_from is None else to_day(window.valid_from)
                valid[1, code] = FOREVER if window.valid_to is None else to_day(window.valid_to)
            if isinstance(window, BirthdayWindow):
                ages[0, code] = window.min_age or 0
                ages[1, code] = _ANY_AGE if window.max_age is None else window.max_age
        first, last = offsets
        valid_from, valid_to = valid
        return cls(
            kind, windows, applies, first, last, is_month_start, valid_from, valid_to, ages[0], ages[1]
        )


@dataclass(frozen=True)
class ExcludedInterval:
    """Days on which one rule excludes one contact.

    Attributes:
        kind: One of ``EXCLUSION_KINDS``.
        state: The contact's.
        first, last: Day numbers, inclusive; ``-FOREVER`` or ``FOREVER`` where there is no end.
        anchor: The day that the window is counted from; None: it is counted from none.
        window: The window as the configuration has it; None: the rule is the name of the state.
    """

    kind: str
    state: str
    first: int
    last: int
    anchor: int | None
    window: Window | None


class ExclusionWindows:
    """The excluded days of the contacts of one frame.

    All methods take ``rows`` (positions in the contacts frame) and ``days`` of the same length.
    """

    def __init__(self, contacts: pd.DataFrame, rules: StateRules) -> None:
        """Keep what the rules depend on for each contact of ``contacts`` (``CONTACTS``)."""
        self._states = contacts["state"].cat.codes.to_numpy()
        self.births = Anchors.of(contacts["birth_date"].to_numpy())
        self.effectives = Anchors.of(contacts["effective_date"].to_numpy())
        self.anchors = {"birth_date": self.births, "effective_date": self.effectives}
        if_missing = rules.exclude_when_anchor_missing
        self._is_birth_unknown = contacts["is_birth_date_unreadable"].to_numpy() | (
            ~self.births.is_known & if_missing
        )
        self._is_effective_unknown = contacts["is_effective_date_unreadable"].to_numpy() | (
            ~self.effectives.is_known & if_missing
        )
        self._rules = _compile(rules)
        self.is_ruled = np.logical_or.reduce(
            [np.zeros(len(STATES), np.bool_)] + [r.applies for r in self._rules]
        )[self._states]

    def reasons(self, rows: Rows, days: Days) -> ReasonCodes:
        """Return for each day the code of the first rule that excludes it, ``ALLOWED`` if none does.

        A code greater than 0 is a position in ``EXCLUSION_REASONS``, plus 1.
        """
        codes = np.zeros(len(rows), np.int16)
        ruled = np.flatnonzero(self.is_ruled[rows])
        rows, days = rows[ruled], days[ruled]
        found = np.zeros(len(rows), np.int16)
        for rule in self._rules:
            subset = np.flatnonzero((found == ALLOWED) & self._concerns(rule, rows))
            start, end = self._next_interval(rule, rows[subset], days[subset])
            hit = subset[(start <= days[subset]) & (days[subset] <= end)]
            found[hit] = self._states[rows[hit]].astype(np.int16) + (rule.kind * len(STATES) + 1)
        codes[ruled] = found
        return codes

    def first_allowed(self, rows: Rows, days: Days, last: Days) -> Days:
        """Return the first day from ``days`` on that is not excluded, some day after ``last`` if none."""
        result = days.copy()
        pending = np.flatnonzero(self.is_ruled[rows] & (days <= last))
        while len(pending):
            reached = result[pending]
            for rule in self._rules:
                subset = np.flatnonzero(self._concerns(rule, rows[pending]))
                start, end = self._next_interval(rule, rows[pending[subset]], reached[subset])
                is_covered = (start <= reached[subset]) & (reached[subset] <= end)
                reached[subset] = np.where(is_covered, end + 1, reached[subset])
            is_moved = reached != result[pending]
            result[pending] = reached
            pending = pending[is_moved & (reached <= last[pending])]
        return result

    def next_excluded(self, rows: Rows, days: Days) -> Days:
        """Return the first excluded day on or after ``days``, ``FOREVER`` or later if there is none."""
        result = np.full(len(rows), FOREVER, np.int32)
        ruled = np.flatnonzero(self.is_ruled[rows])
        rows, days = rows[ruled], days[ruled]
        found = np.full(len(rows), FOREVER, np.int32)
        for rule in self._rules:
            subset = np.flatnonzero(self._concerns(rule, rows))
            start, end = self._next_interval(rule, rows[subset], days[subset])
            day = np.where(end >= days[subset], np.maximum(start, days[subset]), FOREVER)
            found[subset] = np.minimum(found[subset], day)
        result[ruled] = found
        return result

    def intervals(self, row: int, first: int, last: int) -> Iterator[ExcludedInterval]:
        """Return what each rule excludes of one contact between two days, inclusive; nothing is cut off.

        In the order in which the rules give the reason, then by time. Meant for people: a plan asks for days.
        """
        rows = np.array([row])
        state = STATES[int(self._states[row])]
        for rule in self._rules:
            if not self._concerns(rule, rows)[0]:
                continue
            day = np.array([first], np.int32)
            while day[0] <= last:
                start, end = (int(each[0]) for each in self._next_interval(rule, rows, day))
                if start > last or end < day[0]:
                    break
                is_counted = rule.kind in (_BIRTHDAY, _EFFECTIVE)
                anchor = int(self._next_event(rule, rows, day)[0][0]) if is_counted else None
                kind = EXCLUSION_KINDS[rule.kind]
                yield ExcludedInterval(kind, state, start, end, anchor, rule.windows.get(state))
                day = np.array([end + 1], np.int32)

    def _concerns(self, rule: _Rule, rows: Rows) -> Flags:
        applies: Flags = rule.applies[self._states[rows]]
        if rule.kind in (_BIRTHDAY, _AGE):
            applies &= self.births.is_known[rows]
        elif rule.kind == _EFFECTIVE:
            applies &= self.effectives.is_known[rows]
        elif rule.kind == _BIRTH_UNKNOWN:
            applies &= self._is_birth_unknown[rows]
        elif rule.kind == _EFFECTIVE_UNKNOWN:
            applies &= self._is_effective_unknown[rows]
        return applies

    def _next_interval(self, rule: _Rule, rows: Rows, days: Days) -> tuple[Days, Days]:
        """Return the rule's first interval that ends on or after each day; an empty one if there is none."""
        states = self._states[rows]
        valid_from, valid_to = rule.valid_from[states], rule.valid_to[states]
        if rule.kind == _AGE:
            births = self.births.take(rows)
            return births.anniversaries(births.year + AGE_LIMIT), valid_to
        if rule.kind not in (_BIRTHDAY, _EFFECTIVE):
            return valid_from, valid_to
        event, has_window = self._next_event(rule, rows, days)
        first_offset, last_offset = rule.first_offset[states], rule.last_offset[states]
        start = np.maximum(event + first_offset, valid_from)
        end = np.minimum(event + last_offset, valid_to)
        is_law = has_window & (start <= end)
        return np.where(is_law, start, FOREVER).astype(np.int32), np.where(is_law, end, -FOREVER).astype(
            np.int32
        )

    def _next_event(self, rule: _Rule, rows: Rows, days: Days) -> tuple[Days, Flags]:
        """Return the anniversary that the rule's first interval on or after each day is counted from.

        The flags say whether there is one: a contact can be too old for the rule.
        """
        states = self._states[rows]
        anchors = (self.births if rule.kind == _BIRTHDAY else self.effectives).take(rows)
        anchors = anchors.first_of_month(rule.is_month_start[states])
        # the anniversary from which an interval reaches this day is the earliest that is not before this one
        reached = np.maximum(days, rule.valid_from[states]) - rule.last_offset[states]
        year = np.maximum(years_of(reached), anchors.year + rule.min_age[states])
        event = anchors.anniversaries(year)
        is_before = event < reached
        event = np.where(is_before, anchors.anniversaries(year + 1), event)
        return event, year + is_before <= anchors.year + rule.max_age[states]


def _compile(rules: StateRules) -> list[_Rule]:
    """Return the rules in the order in which the first one that holds gives the reason."""
    compiled = [_Rule.of(_YEAR_ROUND, dict.fromkeys(rules.year_round_exclusion))]
    for kind, unknown, by_state in (
        (_BIRTHDAY, _BIRTH_UNKNOWN, rules.birthday_windows),
        (_EFFECTIVE, _EFFECTIVE_UNKNOWN, rules.effective_date_windows),
    ):
        slots = max(map(len, by_state.values()), default=0)
        for slot in range(slots):
            windows: dict[str, Window | None] = {s: w[slot] for s, w in by_state.items() if slot < len(w)}
            compiled += [_Rule.of(kind, windows), _Rule.of(unknown, windows)]
    by_age = dict.fromkeys(rules.age_76_plus_exclusion)
    compiled += [_Rule.of(_AGE, by_age), _Rule.of(_BIRTH_UNKNOWN, by_age)]
    return [rule for rule in compiled if rule.applies.any()]


class OpenDays:
    """The days on which emails may go out."""

    def __init__(self, calendar: SendCalendar) -> None:
        """Read the closed weekdays and dates."""
        self._is_closed_weekday = np.array([name in calendar.no_send_weekdays for name in _WEEKDAYS])
        self._closed_days = np.array(sorted(map(to_day, calendar.no_send_dates)), dtype=np.int32)
        self._weekdays: list[bool] = self._is_closed_weekday.tolist()
        self._dates: set[int] = set(self._closed_days.tolist())
        self._is_always_open = not (calendar.no_send_weekdays or calendar.no_send_dates)

    def is_open(self, days: Days) -> Flags:
        """Tell which days are open."""
        if self._is_always_open:
            return np.ones(len(days), np.bool_)
        # day 0 of the epoch was a Thursday
        return ~(self._is_closed_weekday[(days + 3) % 7] | np.isin(days, self._closed_days))

    def next_open(self, days: Days) -> Days:
        """Return the first open day on or after each day."""
        return self._walk(days, 1)

    def previous_open(self, days: Days) -> Days:
        """Return the last open day on or before each day."""
        return self._walk(days, -1)

    def next_open_day(self, day: int) -> int:
        """Return the first open day on or after one day."""
        return self._walk_from(day, 1)

    def previous_open_day(self, day: int) -> int:
        """Return the last open day on or before one day."""
        return self._walk_from(day, -1)

    def _walk_from(self, day: int, step: int) -> int:
        # the sweep asks for one day at a time, for which arrays are slow
        while self._weekdays[(day + 3) % 7] or day in self._dates:
            day += step
        return day

    def _walk(self, days: Days, step: int) -> Days:
        if self._is_always_open:
            return days
        result = days.copy()
        closed = np.flatnonzero(~self.is_open(result))
        while len(closed):
            result[closed] += step
            closed = closed[~self.is_open(result[closed])]
        return result
