"""Load balancing: one sweep over the days (section 11 of the planning rules)."""

from collections.abc import Callable
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.dates import Days, ordinals, to_day, years_of
from email_scheduler.planning.frames import BALANCED_SCHEDULES, NO_DATE
from email_scheduler.planning.hashing import stable_hash
from email_scheduler.planning.send_calendar import OpenDays
from email_scheduler.planning.vocabulary import (
    DAILY_CAP_EXCEEDED,
    LIVE_STATUSES,
    NOT_SKIPPED,
    PRE_SCHEDULED,
    is_planners_type,
    skip_code,
    skip_reasons,
)

Positions = npt.NDArray[np.int64]

# What the order of section 11 looks at, besides own or late and the hash.
_ORDER: Final = (
    "priority",
    "last_date",
    "ideal_send_date",
    "contact_id",
    "campaign_instance_id",
    "event_date",
)


def daily_cap(contact_count: int, config: SchedulerConfig) -> int:
    """Return how many emails a day takes: a share of the valid contacts, at least 1."""
    return max(1, int(config.load_balancing.daily_send_percentage_cap * contact_count))


def daily_limit(cap: int, config: SchedulerConfig) -> int:
    """Return the largest load that is not over a day's limit."""
    return int(config.load_balancing.overage_threshold * cap)


def fixed_volume(history: pd.DataFrame, follow_ups: pd.DataFrame) -> pd.Series:
    """Return the emails of each day that balancing cannot move; the index holds day numbers.

    Live rows, pre-scheduled rows of types that are not the planner's, and planned follow-ups.

    Args:
        history: ``HISTORY``.
        follow_ups: ``FOLLOW_UPS``.
    """
    is_fixed = history["status"].isin(LIVE_STATUSES).to_numpy() | _is_foreign(history)
    planned = follow_ups["send_date"].to_numpy()[follow_ups["skip_reason"].isna().to_numpy()]
    days, counts = np.unique(
        np.concatenate([history["send_date"].to_numpy()[is_fixed], planned]), return_counts=True
    )
    return pd.Series(counts, index=days)


def foreign_rows(history: pd.DataFrame) -> dict[str, int]:
    """Return how many pre-scheduled rows of types that are not the planner's are waiting, by type."""
    counts = history["email_type"][_is_foreign(history)].astype("str").value_counts()
    return {str(email_type): int(count) for email_type, count in sorted(counts.items())}


def balance(
    schedules: pd.DataFrame, fixed: pd.Series, cap: int, config: SchedulerConfig, as_of: date
) -> pd.DataFrame:
    """Choose the day of every email that has an interval, within its interval (section 11).

    Args:
        schedules: ``SCHEDULES`` of the whole organisation.
        fixed: Emails of each day that cannot be moved, as ``fixed_volume`` returns them.
        cap: The daily cap.
        config: The organisation's configuration.
        as_of: The date that the plan is made for; no email is placed before it.

    Returns:
        ``BALANCED_SCHEDULES``, row for row: ``send_date`` is the day of a placed email and the ideal date
        of a skipped one. Emails without a place are skipped as ``daily_cap_exceeded``.
    """
    codes = schedules["skip_reason"].cat.codes.to_numpy().astype(np.int16)
    live = np.flatnonzero(codes == NOT_SKIPPED)
    send_date = schedules["ideal_send_date"].to_numpy().copy()
    if len(live):
        placed = _Sweep(schedules.iloc[live], fixed, cap, config, to_day(as_of)).run()
        is_placed = placed != NO_DATE
        send_date[live[is_placed]] = placed[is_placed]
        codes[live[~is_placed]] = skip_code(DAILY_CAP_EXCEEDED)
    columns: dict[str, object] = {name: schedules[name] for name in schedules.columns}
    return BALANCED_SCHEDULES.build({**columns, "skip_reason": skip_reasons(codes), "send_date": send_date})


class _Sweep:
    """The state of one sweep: which emails wait, and how full each day is."""

    def __init__(
        self, emails: pd.DataFrame, fixed: pd.Series, cap: int, config: SchedulerConfig, start: int
    ) -> None:
        # columns by themselves, since the sweep asks for them every day and a frame is slow to ask
        self._columns = {name: emails[name].to_numpy() for name in _ORDER}
        self._email_types = emails["email_type"].array
        self._event_years = years_of(self._columns["event_date"])
        self._base, self._first, self._last = (
            emails[f"{name}_date"].to_numpy() for name in ("base", "first", "last")
        )
        self._expects_follow_up = emails["expects_follow_up"].to_numpy()
        self._spread = config.load_balancing.catch_up_spread_days
        self._follow_up_days = config.timing_constants.followup_days_after
        self._is_balanced = config.features.enable_load_balancing
        self._cap, self._limit = cap, daily_limit(cap, config)
        self._open_days = OpenDays(config.send_calendar)
        self._start = start
        self._fixed: dict[int, int] = dict(zip(fixed.index.tolist(), fixed.tolist(), strict=True))
        self._placed = np.full(len(emails), NO_DATE, np.int32)
        self._turn = (self._hash("catch_up", np.arange(len(emails))) % np.uint64(self._spread)).astype(
            np.int64
        )

    def run(self) -> Days:
        """Return the day of each email, ``NO_DATE`` for those that found no place."""
        by_base = np.argsort(self._base, kind="stable")
        bases = self._base[by_base]
        begin = int(np.searchsorted(bases, self._start))
        waiting = by_base[:begin]
        day = self._start
        while begin < len(bases) or len(waiting):
            if len(waiting) == 0:
                day = max(day, int(bases[begin]))
            opened = self._open_days.next_open_day(day)
            # what a closed day was the base of waits like everything else that missed its day
            own_begin = int(np.searchsorted(bases, opened))
            own_end = int(np.searchsorted(bases, opened, side="right"))
            waiting = np.concatenate([waiting, by_base[begin:own_begin]])
            own = by_base[own_begin:own_end]
            self._fill(opened, own, waiting[self._is_offered(waiting, opened)])
            waiting = np.concatenate([waiting, own])
            waiting = waiting[(self._placed[waiting] == NO_DATE) & (self._last[waiting] > opened)]
            begin, day = own_end, opened + 1
        return self._placed

    def _is_offered(self, waiting: Positions, day: int) -> npt.NDArray[np.bool_]:
        """Tell which emails that missed their base date are offered on an open day (section 9, rule 4)."""
        is_reachable = (self._first[waiting] <= day) & (self._last[waiting] >= day)
        # a closed catch-up day passes its turn on: this day has the turns of all closed days before it
        days = np.arange(self._open_days.previous_open_day(day - 1) + 1, day + 1, dtype=np.int32)
        has_turn = np.zeros(self._spread, np.bool_)
        has_turn[ordinals(days) % self._spread] = True
        is_offered: npt.NDArray[np.bool_] = is_reachable & (
            (self._base[waiting] + self._spread >= day)
            | has_turn[self._turn[waiting]]
            | (self._last[waiting] == day)
        )
        return is_offered

    def _fill(self, day: int, own: Positions, late: Positions) -> None:
        candidates = np.concatenate([own, late])
        room = len(candidates)
        if self._is_balanced:
            fixed = self._fixed.get(day, 0)
            load = fixed + len(own)
            room = max(0, (self._cap if load > self._limit else max(self._cap, load)) - fixed)
        if room < len(candidates):
            is_late = np.repeat([False, True], [len(own), len(late)])
            candidates = candidates[self._in_order(candidates, is_late, day, room)]
        self._placed[candidates] = day
        kept = int(self._expects_follow_up[candidates].sum())
        if kept:
            reserved = self._open_days.next_open_day(day + self._follow_up_days)
            self._fixed[reserved] = self._fixed.get(reserved, 0) + kept

    def _in_order(
        self, candidates: Positions, is_late: npt.NDArray[np.bool_], day: int, count: int
    ) -> Positions:
        """Return the positions of the first ``count`` candidates in the order of section 11."""
        is_pressing = self._last[candidates] - day < self._spread
        tier = np.where(is_pressing, 0, np.where(is_late, 2, 1))

        def column(name: str) -> Callable[[Positions], npt.NDArray[np.generic]]:
            return lambda chosen: self._columns[name][candidates[chosen]]

        return first_in_order(
            len(candidates),
            count,
            lambda chosen: tier[chosen],
            column("priority"),
            column("last_date"),
            column("ideal_send_date"),
            lambda chosen: self._hash("order", candidates[chosen]),
            column("contact_id"),
            column("campaign_instance_id"),
            column("event_date"),
        )

    def _hash(self, purpose: str, chosen: Positions) -> npt.NDArray[np.uint64]:
        return stable_hash(
            purpose,
            self._columns["contact_id"][chosen],
            self._email_types[chosen],
            self._event_years[chosen],
        )


def first_in_order(size: int, count: int, *keys: Callable[[Positions], npt.NDArray[np.generic]]) -> Positions:
    """Return the positions of the ``count`` smallest of ``size`` elements, compared by key after key.

    Each key is asked only for the elements that the keys before it left tied at the border, so that a sort
    of everything by everything is never needed. The result is in no particular order.
    """
    chosen: list[Positions] = []
    tied = np.arange(size)
    for key in keys:
        if count == 0 or count >= len(tied):
            break
        values = key(tied)
        border = np.partition(values, count - 1)[count - 1]
        chosen.append(tied[values < border])
        count -= len(chosen[-1])
        tied = tied[values == border]
    return np.concatenate([*chosen, tied[:count]])


def _is_foreign(history: pd.DataFrame) -> npt.NDArray[np.bool_]:
    types = history["email_type"].cat
    is_planners = np.append(is_planners_type(types.categories), False)[types.codes]
    flags: npt.NDArray[np.bool_] = history["status"].eq(PRE_SCHEDULED).to_numpy() & ~is_planners
    return flags
