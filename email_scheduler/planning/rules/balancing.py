"""Load balancing: one sweep over the days, and what is lost for want of room (section 11 of the rules)."""

from collections.abc import Callable
from datetime import date
from decimal import ROUND_UP, Decimal
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.categories import NOT_SKIPPED, is_planners_type, skip_code, skip_reasons
from email_scheduler.planning.columns import (
    BITS_OF_KEY,
    Days,
    Hashes,
    ordinals,
    pack,
    stable_hash,
    to_day,
    width_of,
    years_of,
)
from email_scheduler.planning.frames import BALANCED_SCHEDULES, CAPACITY_SHORTFALL, NO_DATE
from email_scheduler.planning.rules.exclusions import OpenDays
from email_scheduler.registry import DAILY_CAP_EXCEEDED, LIVE_STATUSES, PRE_SCHEDULED

Positions = npt.NDArray[np.int64]
# The bits of a key for the order of section 11: the tier takes the two above, and one is left for the hash.
_CLASS_BITS: Final = 61
_TIER_SHIFT: Final = np.uint64(62)
_DAYS_OF_RADIX_SORT: Final = 1 << 16


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
        placed = _Sweep(schedules, live, fixed, cap, config, to_day(as_of)).run()
        is_placed = placed != NO_DATE
        np.copyto(send_date, placed, where=is_placed)
        codes[live[~is_placed[live]]] = skip_code(DAILY_CAP_EXCEEDED)
    columns: dict[str, object] = {name: schedules[name] for name in schedules.columns}
    return BALANCED_SCHEDULES.build({**columns, "skip_reason": skip_reasons(codes), "send_date": send_date})


class _Sweep:
    """The state of one sweep: which emails wait, and how full each day is.

    Emails are positions in the frame. Only those that find no room on their base date are ever compared, so
    that their keys and catch-up turns are worked out when that happens.
    """

    def __init__(
        self,
        schedules: pd.DataFrame,
        live: Positions,
        fixed: pd.Series,
        cap: int,
        config: SchedulerConfig,
        start: int,
    ) -> None:
        # columns by themselves, since the sweep asks for them every day and a frame is slow to ask
        self._contact_ids = schedules["contact_id"].to_numpy()
        self._email_types = schedules["email_type"].array
        self._instances = schedules["campaign_instance_id"].to_numpy()
        self._events = schedules["event_date"].to_numpy()
        self._base, self._first, self._last = (
            schedules[f"{name}_date"].to_numpy() for name in ("base", "first", "last")
        )
        self._expects_follow_up = schedules["expects_follow_up"].to_numpy()
        order = ("priority", "last_date", "ideal_send_date")
        self._classes = pack([schedules[name].to_numpy() for name in order], _CLASS_BITS)
        self._free_bits = _TIER_SHIFT - np.uint64(width_of(self._classes))
        self._spread = config.load_balancing.catch_up_spread_days
        self._follow_up_days = config.timing_constants.followup_days_after
        self._is_balanced = config.features.enable_load_balancing
        self._cap, self._limit = cap, daily_limit(cap, config)
        self._open_days = OpenDays(config.send_calendar)
        self._start = start
        self._fixed: dict[int, int] = dict(zip(fixed.index.tolist(), fixed.tolist(), strict=True))
        self._live = live
        self._placed = np.full(len(schedules), NO_DATE, np.int32)
        self._keys = np.zeros(len(schedules), np.uint64)
        self._turns = np.zeros(len(schedules), np.int32)

    def run(self) -> Days:
        """Return the day of each email, ``NO_DATE`` for those that found no place."""
        by_base = _stable_order(self._base, self._live)
        bases = self._base[by_base]
        begin = _first_at_least(bases, self._start)
        waiting = by_base[:begin]
        self._prepare(waiting)
        day = self._start
        while begin < len(bases) or len(waiting):
            if len(waiting) == 0:
                day = max(day, int(bases[begin]))
            opened = self._open_days.next_open_day(day)
            # what a closed day was the base of waits like everything else that missed its day
            own_begin, own_end = _first_at_least(bases, opened), _first_at_least(bases, opened + 1)
            missed, own = by_base[begin:own_begin], by_base[own_begin:own_end]
            if len(missed):
                self._prepare(missed)
                waiting = np.concatenate([waiting, missed])
            self._fill(opened, own, waiting)
            waiting = np.concatenate([waiting, own])
            waiting = waiting[(self._placed[waiting] == NO_DATE) & (self._last[waiting] > opened)]
            begin, day = own_end, opened + 1
        return self._placed

    def _prepare(self, emails: Positions) -> None:
        """Work out the catch-up turns of these emails, and the keys that order them within a tier."""
        self._turns[emails] = self._hash("catch_up", emails) % np.uint64(self._spread)
        free_bits = self._free_bits
        hashes = self._hash("order", emails) >> (np.uint64(BITS_OF_KEY) - free_bits)
        self._keys[emails] = (self._classes[emails] << free_bits) | hashes

    def _is_offered(self, waiting: Positions, day: int) -> npt.NDArray[np.bool_]:
        """Tell which emails that missed their base date are offered on an open day (section 9, rule 4)."""
        is_reachable = (self._first[waiting] <= day) & (self._last[waiting] >= day)
        # a closed catch-up day passes its turn on: this day has the turns of all closed days before it
        days = np.arange(self._open_days.previous_open_day(day - 1) + 1, day + 1, dtype=np.int32)
        has_turn = np.zeros(self._spread, np.bool_)
        has_turn[ordinals(days) % self._spread] = True
        is_offered: npt.NDArray[np.bool_] = is_reachable & (
            (self._base[waiting] + self._spread >= day)
            | has_turn[self._turns[waiting]]
            | (self._last[waiting] == day)
        )
        return is_offered

    def _fill(self, day: int, own: Positions, waiting: Positions) -> None:
        room = self._room(day, len(own))
        late = waiting[:0] if room == 0 else waiting[self._is_offered(waiting, day)]
        candidates = np.concatenate([own, late])
        if room is not None and room < len(candidates):
            self._prepare(own)
            is_late = np.repeat([False, True], [len(own), len(late)])
            candidates = candidates[self._in_order(candidates, is_late, day, room)]
        self._placed[candidates] = day
        kept = int(np.count_nonzero(self._expects_follow_up[candidates]))
        if kept:
            reserved = self._open_days.next_open_day(day + self._follow_up_days)
            self._fixed[reserved] = self._fixed.get(reserved, 0) + kept

    def _room(self, day: int, own_count: int) -> int | None:
        """Return how many emails a day takes; None if it takes all."""
        if not self._is_balanced:
            return None
        fixed = self._fixed.get(day, 0)
        load = fixed + own_count
        return max(0, (self._cap if load > self._limit else max(self._cap, load)) - fixed)

    def _in_order(
        self, candidates: Positions, is_late: npt.NDArray[np.bool_], day: int, count: int
    ) -> Positions:
        """Return the positions of the first ``count`` candidates in the order of section 11."""
        is_pressing = self._last[candidates] - day < self._spread
        tier = np.where(is_pressing, 0, np.where(is_late, 2, 1)).astype(np.uint64)
        keys = self._keys[candidates] | (tier << _TIER_SHIFT)
        # the key holds but the first bits of the hash
        return first_in_order(
            len(candidates),
            count,
            lambda chosen: keys[chosen],
            lambda chosen: self._hash("order", candidates[chosen]),
            lambda chosen: self._contact_ids[candidates[chosen]],
            lambda chosen: self._instances[candidates[chosen]],
            lambda chosen: self._events[candidates[chosen]],
        )

    def _hash(self, purpose: str, emails: Positions) -> Hashes:
        return stable_hash(
            purpose, self._contact_ids[emails], self._email_types[emails], years_of(self._events[emails])
        )


def _first_at_least(ascending: Days, day: int) -> int:
    # a number of another type than the days would make numpy convert all of them
    return int(ascending.searchsorted(np.int32(day)))


def _stable_order(days: Days, chosen: Positions) -> Positions:
    """Return the chosen positions ordered by their days; those of one day stay in their order."""
    of_chosen = days[chosen]
    first = of_chosen.min()
    if int(of_chosen.max()) - int(first) < _DAYS_OF_RADIX_SORT:
        # small numbers are sorted by counting them
        of_chosen = (of_chosen - first).astype(np.uint16)
    return chosen[np.argsort(of_chosen, kind="stable")]


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


def capacity_shortfall(
    balanced: pd.DataFrame, contact_count: int, cap: int, config: SchedulerConfig
) -> pd.DataFrame:
    """Return the emails that find no place, by email type, and about which cap would give them one.

    Args:
        balanced: ``BALANCED_SCHEDULES``.
        contact_count: Valid contacts.
        cap: The daily cap.
        config: The organisation's configuration.

    Returns:
        ``CAPACITY_SHORTFALL``, one row an email type that loses emails. ``sufficient_cap`` is an estimate:
        the cap plus the lost emails spread evenly over the open days that they compete for.
    """
    lost = balanced[balanced["skip_reason"] == DAILY_CAP_EXCEEDED]
    if lost.empty:
        return CAPACITY_SHORTFALL.empty()
    open_days = OpenDays(config.send_calendar)
    rows = []
    for email_type, emails in lost.groupby("email_type", observed=True):
        first, last = int(emails["first_date"].min()), int(emails["last_date"].max())
        days = int(open_days.is_open(np.arange(first, last + 1, dtype=np.int32)).sum())
        # every email that is placed keeps a place for its follow-up two days on, so that it takes two
        places = 2 if emails["expects_follow_up"].any() else 1
        needed = cap + -(-places * len(emails) // max(days, 1))
        share = (Decimal(needed) / contact_count).quantize(Decimal("0.001"), rounding=ROUND_UP)
        rows.append((email_type, len(emails), first, last, needed, str(min(share, Decimal(1)))))
    frame = pd.DataFrame(rows, columns=list(CAPACITY_SHORTFALL.columns))
    types = {"email_type": "category", "sufficient_percentage_cap": "str"}
    types |= dict.fromkeys(("emails", "first_date", "last_date", "sufficient_cap"), "int32")
    return CAPACITY_SHORTFALL.check(frame.astype(types))
