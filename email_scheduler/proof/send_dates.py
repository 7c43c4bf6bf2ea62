"""The day an email goes out, the limits of a day and of a contact, and why an email has no day.

Sections 9, 11 and 12; the reason of a skipped row has to be true, and the first one that applies.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.proof.arithmetic import (
    CAMPAIGN,
    EFFECTIVE_DATE,
    FOLLOW_UP,
    ClosedDays,
    Days,
    Flags,
    Ids,
    codes_of,
    is_among,
    number_of,
    pack,
    per_text,
    repeats,
    texts_of,
)
from email_scheduler.proof.exclusion_windows import ALLOWED, REASONS, ReasonCodes, Windows
from email_scheduler.proof.planned_and_sent import PlanRows, SenderRows
from email_scheduler.proof.violations import Violations

_Rows = npt.NDArray[np.intp]
_MISSING = -1
_UNKNOWN = 0
# the codes of REASONS stand between
_EVENT_PASSED = 11
_OUTSIDE_CAMPAIGN_DATES = 12
_CAMPAIGN_CONFLICT = 13
_NO_SEND_DAY = 14
_DAILY_CAP_EXCEEDED = 15
_FREQUENCY_LIMIT_EXCEEDED = 16
# what no row can state: there must be no such row
_NOTHING = 17
_CODES = {
    "event_passed": _EVENT_PASSED,
    "outside_campaign_dates": _OUTSIDE_CAMPAIGN_DATES,
    "campaign_conflict": _CAMPAIGN_CONFLICT,
    "no_send_day": _NO_SEND_DAY,
    "daily_cap_exceeded": _DAILY_CAP_EXCEEDED,
    "frequency_limit_exceeded": _FREQUENCY_LIMIT_EXCEEDED,
}
_WINDOW_CODES = {text: code for code, text in REASONS.items()}
_NO_STATE = -2
_ANOTHER_STATE = -3


def check_dates(
    as_of: int, rows: PlanRows, adjustment: pd.Series, config: SchedulerConfig, violations: Violations
) -> None:
    """Report emails before the plan's day, before their ideal date, after their deadline, on closed days."""
    closed = ClosedDays(config)
    planned = np.flatnonzero(rows.is_planned & (rows.who >= 0))
    violations.rows("before_as_of", planned[rows.send[planned] < as_of])
    if closed.exist:
        violations.rows("closed_day", planned[closed.contain(rows.send[planned])])
    known = planned[rows.is_known[planned]]
    late = known[rows.send[known] > rows.deadline[known]]
    violations.rows("after_deadline", late, texts_of(rows.deadline[late], "the deadline is "))

    adjustments = codes_of(adjustment)
    forward = per_text(adjustments, [name == "brought_forward" for name in adjustments[1]], False, np.bool_)
    early = known[rows.send[known] < rows.ideal[known]]
    is_allowed = (rows.kind[early] == EFFECTIVE_DATE) & (
        rows.ideal[early] - rows.send[early] <= smoothing_days(config)
    )
    # an email is brought forward to the last open day before its ideal date
    is_allowed |= forward[early] & (closed.next_open(rows.send[early] + 1) > rows.ideal[early])
    early = early[~is_allowed]
    violations.rows("before_ideal_date", early, texts_of(rows.ideal[early], "the ideal date is "))

    known = np.flatnonzero(rows.is_known)
    wrong = known[rows.stated_ideal[known] != rows.ideal[known]]
    violations.rows("wrong_ideal_date", wrong, texts_of(rows.ideal[wrong], "the ideal date is "))
    if config.go_live_date:
        is_too_old = rows.ideal[known] < number_of(config.go_live_date)
        violations.rows("before_go_live", known[is_too_old & (rows.kind[known] != FOLLOW_UP)])


def smoothing_days(config: SchedulerConfig) -> int:
    """Return how far smoothing may move an effective-date email (section 9, rule 5)."""
    is_smoothing = config.features.enable_load_balancing
    return config.load_balancing.ed_smoothing_window_days if is_smoothing else 0


def check_daily_volume(
    contact_count: int, senders: SenderRows, rows: PlanRows, config: SchedulerConfig, violations: Violations
) -> None:
    """Report the days that what is planned pushes over their limit.

    Live rows, waiting rows of unknown types and follow-ups are not moved, and may fill a day on their own.
    A day whose own emails stay within the limit takes as many as these; any other takes emails up to the cap
    only. So a day that takes any email at all holds, with what is fixed, no more than the larger of the cap
    and the whole part of the limit. Places kept for follow-ups to come only lower that.
    """
    if not config.features.enable_load_balancing:
        return
    balancing = config.load_balancing
    cap = max(1, math.floor(Fraction(balancing.daily_send_percentage_cap) * contact_count))
    most = max(cap, math.floor(Fraction(balancing.overage_threshold) * cap))
    is_follow_up = rows.kind == FOLLOW_UP
    days, placed = np.unique(rows.send[rows.is_planned & ~is_follow_up], return_counts=True)
    fixed = _count(rows.send[rows.is_planned & is_follow_up], days)
    fixed += _count(senders.send[senders.takes_a_place], days)
    over = np.flatnonzero(placed + fixed > most)
    details = [f"{placed[day]} planned, {fixed[day]} fixed, at most {most} in all" for day in over]
    violations.days("daily_volume", days[over], details)


def _count(sends: Days, days: Days) -> np.ndarray:
    """Return how many of ``sends`` fall on each of the ascending ``days``."""
    ordered = np.sort(sends)
    return np.searchsorted(ordered, days, side="right") - np.searchsorted(ordered, days, side="left")


class Frequency:
    """The emails of every contact that the limit counts: planned and live ones, without follow-ups."""

    def __init__(self, as_of: int, senders: SenderRows, rows: PlanRows, config: SchedulerConfig) -> None:
        self._most = config.load_balancing.max_emails_per_contact_per_period
        self._period_days = config.load_balancing.period_days
        self._rows = rows
        self._planned: _Rows = np.flatnonzero(rows.is_planned & (rows.who >= 0) & (rows.kind != FOLLOW_UP))
        # an email that is too old to share a period with a planned one does not matter
        is_recent = senders.send.astype(np.int64) > as_of - self._period_days
        live = senders.where(senders.is_live & (senders.who >= 0) & (senders.kind != FOLLOW_UP) & is_recent)
        planned_keys = pack(rows.who[self._planned], rows.send[self._planned])
        # one number for each email: contact, then day, then whether it is planned
        self._emails = np.sort(np.concatenate([planned_keys * 2 + 1, pack(live.who, live.send) * 2]))

    def check(self, violations: Violations) -> None:
        """Report the last planned email of every period that holds too many.

        Emails lie together in a period if the first and the last of them do; so it is enough to look at each
        email and the one that is as many places after it as the limit allows.
        """
        emails, most = self._emails, self._most
        if len(emails) <= most:
            return
        dates = emails >> 1
        # the days of one contact lie far from those of the next
        first = np.flatnonzero(dates[most:] - dates[: len(dates) - most] < self._period_days)
        if not len(first):
            return
        last_planned = np.maximum.accumulate(np.where(emails & 1, np.arange(len(emails)), -1))[first + most]
        too_many = np.unique(dates[last_planned[last_planned >= first]])
        planned = self._planned
        found = is_among(pack(self._rows.who[planned], self._rows.send[planned]), too_many)
        violations.rows("frequency", planned[found], f"more than {most} emails in {self._period_days} days")

    def would_exceed(self, rows: _Rows) -> Flags:
        """Return which skipped rows could not have stood at their date beside the emails that do."""
        most = self._most
        who, day = self._rows.who[rows], self._rows.send[rows]
        exceeds = np.full(len(rows), most == 0)
        if not len(rows) or most == 0 or most > len(self._emails):
            return exceeds
        dates = self._emails >> 1
        own = pack(who, day)
        place = np.searchsorted(dates, own)
        for before in range(most + 1):
            start = place - before
            is_inside = (start >= 0) & (start + most <= len(dates))
            first = dates[np.where(is_inside, start, 0)]
            last = dates[np.where(is_inside, start + most - 1, 0)]
            width = np.maximum(last, own) - np.minimum(first, own)
            exceeds |= is_inside & (width < self._period_days)
        return exceeds


class CampaignDays:
    """The campaign emails of every contact."""

    def __init__(self, senders: SenderRows, rows: PlanRows) -> None:
        self._rows = rows
        campaigns = np.flatnonzero((rows.kind == CAMPAIGN) & (rows.who >= 0))
        self._planned: _Rows = campaigns[rows.is_planned[campaigns]]
        live = senders.where(senders.is_live & (senders.who >= 0) & (senders.kind == CAMPAIGN))
        self._planned_keys = pack(rows.who[self._planned], rows.send[self._planned])
        self._live_keys = np.sort(pack(live.who, live.send))
        self._ideal_keys = np.sort(pack(rows.who[campaigns], rows.ideal[campaigns]))

    def check(self, violations: Violations) -> None:
        """Report planned campaign emails on a date on which their contact has another one."""
        found = is_among(self._planned_keys, self._live_keys) | repeats(self._planned_keys)
        violations.rows("campaign_conflict", self._planned[found])

    def would_conflict(self, rows: _Rows) -> Flags:
        """Return which skipped campaign rows another one of the contact stood in the way of."""
        own = pack(self._rows.who[rows], self._rows.send[rows])
        taken = is_among(own, self._live_keys) | is_among(own, np.sort(self._planned_keys))
        return taken | (self._others_with_ideal(pack(self._rows.who[rows], self._rows.ideal[rows])) > 1)

    def _others_with_ideal(self, keys: Ids) -> npt.NDArray[np.intp]:
        ends = np.searchsorted(self._ideal_keys, keys, side="right")
        return ends - np.searchsorted(self._ideal_keys, keys, side="left")


class SkipReasons:
    """The reasons that the rows of a plan state, and what they have to be."""

    def __init__(
        self,
        as_of: int,
        windows: Windows,
        rows: PlanRows,
        ideal_reasons: ReasonCodes,
        skip_reason: pd.Series,
        config: SchedulerConfig,
    ) -> None:
        self._as_of = as_of
        self._windows = windows
        self._rows = rows
        self._ideal_reasons = ideal_reasons
        self._closed = ClosedDays(config)
        self._is_balancing = config.features.enable_load_balancing
        coded = codes_of(skip_reason)
        state_codes = {name: code for code, name in enumerate(windows.states)}
        meanings = [_meaning(text, state_codes) for text in coded[1]]
        stated = per_text(coded, [code for code, _ in meanings], _MISSING, np.int8)
        states = per_text(coded, [state for _, state in meanings], _NO_STATE, np.int16)
        # the reason of another state is none that the planning rules know
        is_foreign = (states != _NO_STATE) & (states != windows.states_of(rows.who))
        self._stated = np.where(is_foreign, np.int8(_UNKNOWN), stated)

    def check(self, frequency: Frequency, campaigns: CampaignDays, violations: Violations) -> None:
        """Report skipped rows without a reason or with an untrue one, and planned rows with any."""
        rows = self._rows
        violations.rows("missing_skip_reason", np.flatnonzero(rows.is_skipped & (self._stated == _MISSING)))
        violations.rows(
            "unexpected_skip_reason", np.flatnonzero(rows.is_planned & (self._stated != _MISSING))
        )
        skipped = np.flatnonzero(rows.is_skipped & rows.is_known & (self._stated != _MISSING))
        required = self._required(skipped)
        is_true = required == self._stated[skipped]
        optional = required == _UNKNOWN
        proofs: dict[int, Callable[[_Rows], Flags]] = {
            _NO_SEND_DAY: self._find_no_open_day,
            _CAMPAIGN_CONFLICT: campaigns.would_conflict,
            _DAILY_CAP_EXCEEDED: lambda some: np.full(len(some), self._is_balancing),
            _FREQUENCY_LIMIT_EXCEEDED: frequency.would_exceed,
            **dict.fromkeys(REASONS, self._find_no_allowed_day),
        }
        is_true[optional] = False
        for code, proof in proofs.items():
            at = np.flatnonzero(optional & (self._stated[skipped] == code))
            is_true[at] = proof(skipped[at])
        violations.rows("untrue_skip_reason", skipped[~is_true])

    def _required(self, skipped: _Rows) -> npt.NDArray[np.int8]:
        """Return the reason that a row must have whatever else is planned, ``_UNKNOWN`` where none must.

        A follow-up has one day, and windows are all that keeps it from being planned. Any other email is
        skipped where its ideal date is excluded, a campaign email also where its dates leave no room.
        """
        rows = self._rows
        required = self._ideal_reasons[skipped].copy()
        is_campaign = (rows.kind[skipped] == CAMPAIGN) & (required == ALLOWED)
        is_outside = is_campaign & (rows.ideal[skipped] > rows.ends[skipped])
        is_past = rows.deadline[skipped] < np.maximum(rows.ideal[skipped], self._as_of)
        required[is_campaign & is_past] = _EVENT_PASSED
        required[is_outside] = _OUTSIDE_CAMPAIGN_DATES
        follow_ups = np.flatnonzero(rows.kind[skipped] == FOLLOW_UP)
        of_rows = skipped[follow_ups]
        reasons = self._windows.reasons(rows.who[of_rows], rows.deadline[of_rows])
        required[follow_ups] = np.where(reasons == ALLOWED, _NOTHING, reasons)
        return required

    def _find_no_allowed_day(self, some: _Rows) -> Flags:
        """Return which emails windows leave no day until the deadline (section 9, rule 2)."""
        rows, who = self._rows, self._rows.who[some]
        today = np.full(len(some), self._as_of, dtype=np.int32)
        stands = self._windows.reasons(who, today) == self._stated[some]
        first = self._windows.next_allowed(who, today, rows.deadline[some])
        found: Flags = (
            rows.is_bound[some] & (rows.ideal[some] < today) & stands & (first > rows.deadline[some])
        )
        return found

    def _find_no_open_day(self, some: _Rows) -> Flags:
        """Return which emails have no open day in their interval (section 9, rule 3)."""
        rows, who = self._rows, self._rows.who[some]
        first = np.maximum(rows.ideal[some], np.int32(self._as_of))
        bound = rows.is_bound[some]
        first[bound] = self._windows.next_allowed(who[bound], first[bound], rows.deadline[some][bound])
        is_open = self._closed.next_open(first)
        found: Flags = is_open > rows.deadline[some]
        within = np.flatnonzero(~found & bound)
        found[within] = self._windows.touch(who[within], first[within], is_open[within])
        return found


def _meaning(text: str, state_codes: dict[str, int]) -> tuple[int, int]:
    """Return the code of a skip reason and, of a window's reason, its state."""
    if not text.strip():
        return _MISSING, _NO_STATE
    rule, _, state = text.rpartition(" in ")
    if rule in _WINDOW_CODES:
        return _WINDOW_CODES[rule], state_codes.get(state, _ANOTHER_STATE)
    return _CODES.get(text, _UNKNOWN), _NO_STATE
