"""Whether skipped rows say why, and whether it is true (sections 6 to 12)."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import CAMPAIGN, FOLLOW_UP, codes_of, per_text
from email_scheduler.planning.compliance.contact_limits import CampaignDays, Frequency
from email_scheduler.planning.compliance.days import ClosedDays, Flags
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.compliance.windows import ALLOWED, REASONS, ReasonCodes, Windows

_MISSING = -1
_UNKNOWN = 0
# the codes of windows.REASONS stand between
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

_Rows = npt.NDArray[np.intp]


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

    def check(self, frequency: Frequency, campaigns: CampaignDays, report: Report) -> None:
        """Report skipped rows without a reason or with an untrue one, and planned rows with any."""
        rows = self._rows
        report.rows("missing_skip_reason", np.flatnonzero(rows.is_skipped & (self._stated == _MISSING)))
        report.rows("unexpected_skip_reason", np.flatnonzero(rows.is_planned & (self._stated != _MISSING)))
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
        report.rows("untrue_skip_reason", skipped[~is_true])

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
