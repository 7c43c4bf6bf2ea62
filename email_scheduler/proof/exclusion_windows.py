"""The proof's own reading of the exclusion windows (section 5), and the dates they forbid (sections 6 and 9).

A rule of a state is a set of stretches of days, each from a first to a last excluded day. Whether a day is
excluded, which day is the next allowed one, and whether a stretch of days holds an excluded one are three
questions about the same stretches.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import BirthdayWindow, SchedulerConfig, Window
from email_scheduler.planning.frames import NO_DATE
from email_scheduler.proof.arithmetic import (
    FOLLOW_UP,
    FOREVER,
    LONG_AGO,
    Codes,
    Days,
    Flags,
    Numbers,
    Positions,
    anniversaries,
    number_of,
    parts_of,
)
from email_scheduler.proof.planned_and_sent import PlanRows
from email_scheduler.proof.violations import Violations

ReasonCodes = npt.NDArray[np.int8]

ALLOWED = 0
YEAR_ROUND = 1
BIRTHDAY_WINDOW = 2
BIRTH_DATE_UNKNOWN = 3
EFFECTIVE_DATE_WINDOW = 4
EFFECTIVE_DATE_UNKNOWN = 5
AGE_76_PLUS = 6

REASONS = {
    YEAR_ROUND: "Year-round exclusion",
    BIRTHDAY_WINDOW: "Birthday exclusion window",
    BIRTH_DATE_UNKNOWN: "Birth date unknown",
    EFFECTIVE_DATE_WINDOW: "Effective date exclusion window",
    EFFECTIVE_DATE_UNKNOWN: "Effective date unknown",
    AGE_76_PLUS: "Age 76+ exclusion",
}

_DAYS_OF_SHORTEST_YEAR = 365


@dataclass(frozen=True)
class Anchor:
    """The date of every contact that a kind of window stands around; 1970-01-01 where it is not known."""

    year: Numbers
    month: Numbers
    day: Numbers
    is_known: Flags
    closes_every_day: Flags

    @classmethod
    def read(cls, dates: Days, is_unreadable: Flags, *, missing_closes: bool) -> "Anchor":
        """Return the anchor with these dates; one that cannot be read closes every day (section 5)."""
        is_known = dates != NO_DATE
        closes = is_unreadable | ~is_known if missing_closes else is_unreadable
        return cls(*parts_of(dates), is_known, closes & ~is_known)

    def of(self, who: Positions) -> "Anchor":
        """Return the anchor of these contacts only."""
        return Anchor(
            self.year[who], self.month[who], self.day[who], self.is_known[who], self.closes_every_day[who]
        )


@dataclass(frozen=True)
class _Stretch:
    """Excluded days, both ends inclusive, one stretch for each contact asked about (or one for all)."""

    reason: int
    first: Days | int
    last: Days | int


class Windows:
    """Which days are excluded for which contact; contacts are named by their position in ``contacts``."""

    def __init__(self, contacts: pd.DataFrame, config: SchedulerConfig) -> None:
        self._rules = config.state_rules
        state = contacts["state"].cat
        self.states = [str(name) for name in state.categories]
        ruled = self._rules.year_round_exclusion | self._rules.age_76_plus_exclusion
        ruled = ruled | set(self._rules.birthday_windows) | set(self._rules.effective_date_windows)
        # one entry more: -1, the code of a missing state, finds it
        self._is_ruled = np.array([*(name in ruled for name in self.states), False])
        # one entry more: -1, the position of no valid contact, finds it
        self._state_codes = np.append(state.codes.to_numpy(), np.int8(-1))
        missing_closes = self._rules.exclude_when_anchor_missing
        self.birth = Anchor.read(
            contacts["birth_date"].to_numpy(),
            contacts["is_birth_date_unreadable"].to_numpy(),
            missing_closes=missing_closes,
        )
        self.effective = Anchor.read(
            contacts["effective_date"].to_numpy(),
            contacts["is_effective_date_unreadable"].to_numpy(),
            missing_closes=missing_closes,
        )

    def states_of(self, who: Positions) -> Codes:
        """Return the state of each contact, an index into ``states``; -1 where there is none."""
        return self._state_codes[who]

    def open_again(self) -> npt.NDArray[np.intp]:
        """Return the contacts in states with rules, without those that nothing is ever sent to."""
        closed = np.array([*(name in self._rules.year_round_exclusion for name in self.states), False])
        return np.flatnonzero((self._is_ruled & ~closed)[self._state_codes[:-1]])

    def bind(self, who: Positions) -> Flags:
        """Return which of the contacts live in a state with any rule."""
        bound: Flags = self._is_ruled[self.states_of(who)]
        return bound

    def reasons(self, who: Positions, days: Days) -> ReasonCodes:
        """Return why each day is excluded for the contact beside it: the first rule that holds."""
        reasons = np.zeros(len(who), dtype=np.int8)
        for state, at in self._by_state(who):
            day = days[at]
            found = np.zeros(len(at), dtype=np.int8)
            for stretch in self._stretches(state, who[at], day, day):
                found[(found == ALLOWED) & (stretch.first <= day) & (day <= stretch.last)] = stretch.reason
            reasons[at] = found
        return reasons

    def next_allowed(self, who: Positions, days: Days, limits: Days) -> Days:
        """Return the first allowed day on or after each day; any day after the limit where there is none."""
        allowed = days.copy()
        for state, at in self._by_state(who):
            waiting = at
            while len(waiting):
                day = allowed[waiting]
                until = day - 1
                for stretch in self._stretches(state, who[waiting], day, day):
                    holds = (stretch.first <= day) & (day <= stretch.last)
                    until = np.where(holds, np.maximum(until, stretch.last), until)
                allowed[waiting] = until + 1
                waiting = waiting[(until >= day) & (until < limits[waiting])]
        return allowed

    def touch(self, who: Positions, first: Days, last: Days) -> Flags:
        """Return whether any day from ``first`` to ``last`` (both inclusive) is excluded for the contact."""
        touched = np.zeros(len(who), dtype=bool)
        for state, at in self._by_state(who):
            found = np.zeros(len(at), dtype=bool)
            for stretch in self._stretches(state, who[at], first[at], last[at]):
                found |= (
                    (stretch.first <= last[at])
                    & (stretch.last >= first[at])
                    & np.asarray(stretch.first <= stretch.last)
                )
            touched[at] = found
        return touched

    def _by_state(self, who: Positions) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
        """Yield each state with rules and the places of its contacts in ``who``."""
        codes = self.states_of(who)
        ruled = np.flatnonzero(self._is_ruled[codes])
        codes = codes[ruled]
        for code in np.flatnonzero(np.bincount(codes, minlength=1)):
            yield self.states[code], ruled[codes == code]

    def _stretches(self, state: str, who: Positions, first: Days, last: Days) -> Iterator[_Stretch]:
        """Yield what the rules of ``state`` exclude around these days, in the order of section 5."""
        rules = self._rules
        if state in rules.year_round_exclusion:
            yield _Stretch(YEAR_ROUND, LONG_AGO, FOREVER)
        birthday_windows = rules.birthday_windows.get(state, ())
        effective_date_windows = rules.effective_date_windows.get(state, ())
        birth = self.birth.of(who) if birthday_windows or state in rules.age_76_plus_exclusion else None
        if birth is not None and birthday_windows:
            yield from _around(birth, birthday_windows, (BIRTHDAY_WINDOW, BIRTH_DATE_UNKNOWN), first, last)
        if effective_date_windows:
            effective = self.effective.of(who)
            reasons = (EFFECTIVE_DATE_WINDOW, EFFECTIVE_DATE_UNKNOWN)
            yield from _around(effective, effective_date_windows, reasons, first, last)
        if birth is not None and state in rules.age_76_plus_exclusion:
            turns_76 = anniversaries(birth.month, birth.day, birth.year + 76)
            yield _Stretch(AGE_76_PLUS, np.where(birth.is_known, turns_76, FOREVER), FOREVER)
            closed_from = np.where(birth.closes_every_day, LONG_AGO, FOREVER).astype(np.int32)
            yield _Stretch(BIRTH_DATE_UNKNOWN, closed_from, FOREVER)


def _around(
    anchor: Anchor, windows: tuple[Window, ...], reasons: tuple[int, int], first: Days, last: Days
) -> Iterator[_Stretch]:
    """Yield the stretches of the windows of one kind that can hold a day from ``first`` to ``last``."""
    window_reason, unknown_reason = reasons
    for window in windows:
        valid_from = number_of(window.valid_from) if window.valid_from else LONG_AGO
        valid_to = number_of(window.valid_to) if window.valid_to else FOREVER
        if anchor.closes_every_day.any():
            closed_from = np.where(anchor.closes_every_day, valid_from, FOREVER).astype(np.int32)
            yield _Stretch(unknown_reason, closed_from, valid_to)
        begins = -window.window_before_days - window.pre_window_extension_days
        ends = window.window_after_days
        # a window that reaches `first` stands around a date of this year or later, and one that does not
        # begin after `last` around a date at most that many years later
        first_year = _year_of(first - ends)
        longest = int((last - first).max(initial=0)) + ends - begins
        for later in range(longest // _DAYS_OF_SHORTEST_YEAR + 2):
            year = np.clip(first_year + later, 1, 9999)
            day_of_month = np.int32(1) if window.use_month_start else anchor.day
            event = anniversaries(anchor.month, np.asarray(day_of_month), year)
            holds = anchor.is_known & (year >= anchor.year) & _has_the_age(window, year - anchor.year)
            opens = np.where(holds, np.maximum(event + begins, valid_from), FOREVER)
            yield _Stretch(window_reason, opens, np.minimum(event + ends, valid_to))


def _has_the_age(window: Window, ages: Numbers) -> Flags:
    """Return whether a window exists for those who become that old."""
    if not isinstance(window, BirthdayWindow):
        return np.ones(len(ages), dtype=bool)
    least = 0 if window.min_age is None else window.min_age
    old_enough: Flags = ages >= least
    return old_enough if window.max_age is None else old_enough & (ages <= window.max_age)


def _year_of(days: Days) -> Numbers:
    years: Numbers = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int32) + 1970
    return years


def check_windows(
    as_of: int, windows: Windows, rows: PlanRows, ideal_reasons: ReasonCodes, violations: Violations
) -> None:
    """Report planned emails that are bound by windows and stand on, or behind, an excluded day.

    ``ideal_reasons`` says of every row why its ideal date is excluded for it, ALLOWED where it is not.
    """
    bound = np.flatnonzero(rows.is_planned & rows.is_bound & (rows.who >= 0))
    bound = bound[windows.bind(rows.who[bound])]
    reasons = windows.reasons(rows.who[bound], rows.send[bound])
    is_excluded = reasons != ALLOWED
    found = bound[is_excluded]
    texts = np.array(["", *REASONS.values()], dtype=object)[reasons[is_excluded]]
    states = np.array(windows.states, dtype=object)[windows.states_of(rows.who[found])]
    violations.rows("excluded_day", found, texts + " in " + states)

    meant = bound[~is_excluded & rows.is_known[bound] & (rows.kind[bound] != FOLLOW_UP)]
    is_excluded = ideal_reasons[meant] != ALLOWED
    violations.rows("excluded_ideal_date", meant[is_excluded])
    meant = meant[~is_excluded & (rows.send[meant] <= rows.deadline[meant]) & (rows.send[meant] >= as_of)]
    is_early = rows.send[meant] < rows.ideal[meant]
    early, other = meant[is_early], meant[~is_early]
    across = windows.touch(rows.who[early], rows.send[early], rows.ideal[early])
    violations.rows("across_window", early[across])

    start = np.maximum(rows.ideal[other], as_of)
    is_late = rows.send[other] > start
    late, start = other[is_late], start[is_late]
    first = windows.next_allowed(rows.who[late], start, rows.send[late])
    violations.rows("across_window", late[windows.touch(rows.who[late], first, rows.send[late])])
