"""Open and closed days: on which days an agency sends at all (``send_calendar`` of the configuration)."""

import numpy as np

from email_scheduler.config.schema import SendCalendar
from email_scheduler.planning.dates import Days, Flags, to_day

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


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
